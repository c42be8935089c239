import fs from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { systemReason } from "../../lib/own-file.ts";

/** What can be written down of a session: that it has ended, or what its client asked for. */
export type Note = "end" | "level" | "subscribe" | "unsubscribe" | "tools";

/** What is known of a session. */
export interface NotedSession {
  /** Milliseconds since the epoch. */
  readonly issued: number;
  ended: boolean;
  level: string | undefined;
  /** URIs as the client knows them. */
  readonly subscriptions: Set<string>;
  /** Tools it has provisioned. */
  readonly tools: Set<string>;
}

/** Characters of one line; what is longer is not written down. */
const MAX_LINE = 4_096;
/** Subscriptions and tools of one session; of more, the later are not known. */
const MAX_ITEMS = 200;
const NEW_LINE = 10;

/**
 * What has to be known of sessions beyond their ids, in one file of JSON lines that is appended to:
 * `["<id>",<issued>,"<note>",<value>]`. Several gateways may share it. A line is in the file when
 * {@link Journal.write} returns, so that no answer is given that a SIGKILL takes back: at some ten
 * microseconds for each time a client changes something, nobody waits for that.
 */
export class Journal {
  readonly #sessions = new Map<string, NotedSession>();
  /** Ends of sessions as old as this may have been forgotten, so that none of them goes on. */
  #forgotten = 0;
  /** Which file was read, and how much of it. */
  #inode = 0;
  #read = 0;
  /** Characters of all lines that what is known here came from. */
  #size = 0;
  #hasComplained = false;

  /**
   * @param path without, nothing outlives the process
   * @param maxAge milliseconds after which a session is too old to go on
   * @param complain told once, when the disk does not play along
   * @param maxSize bytes of the file; one that gets longer is written anew with the latest half
   */
  constructor(
    private readonly path: string | undefined,
    private readonly maxAge: () => number,
    private readonly complain: (file: string, reason: string) => void,
    private readonly maxSize = 2 * 1024 * 1024,
  ) {}

  /** What is known of a session; `undefined` where that is nothing. */
  of(id: string): NotedSession | undefined {
    this.#attempt((path) => this.#catchUp(path));
    return this.#sessions.get(id);
  }

  /** Whether a session may go on. */
  goesOn(id: string, issued: number): boolean {
    if (this.of(id)?.ended === true) return false;
    return issued > this.#forgotten && Date.now() - issued < this.maxAge();
  }

  /** Writes something down. Never throws. */
  write(id: string, issued: number, note: Note, value: string | readonly string[] = ""): void {
    const line = JSON.stringify([id, issued, note, value]);
    if (line.length > MAX_LINE) return;
    this.#apply(id, issued, note, value);
    if (this.path === undefined) this.#size += line.length;
    let size = this.#size;
    this.#attempt((path) => {
      fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      size = Math.max(size, ownFile(path)?.size ?? 0);
      // The line before may have been cut off by a kill.
      fs.appendFileSync(path, `\n${line}\n`, { mode: 0o600 });
    });
    if (size > this.maxSize) this.#compact();
  }

  #attempt(run: (path: string) => void): void {
    if (this.path === undefined) return;
    try {
      run(this.path);
    } catch (error) {
      if (!this.#hasComplained) this.complain(this.path, systemReason(error));
      this.#hasComplained = true;
    }
  }

  /** Reads what was written since, by whomever. */
  #catchUp(path: string): void {
    const file = ownFile(path);
    if (file === undefined || (file.ino === this.#inode && file.size === this.#read)) return;
    if (file.size > 2 * this.maxSize) throw new Error(`found ${file.size} bytes`);
    // Somebody has written it anew; what is known stays.
    if (file.ino !== this.#inode || file.size < this.#read) this.#read = 0;
    this.#inode = file.ino;
    const bytes = fs.readFileSync(path).subarray(this.#read);
    const end = bytes.lastIndexOf(NEW_LINE) + 1;
    this.#read += end;
    this.#size += end;
    for (const line of new TextDecoder().decode(bytes.subarray(0, end)).split("\n")) {
      if (line !== "") this.#readLine(line);
    }
  }

  #readLine(line: string): void {
    try {
      const [id, issued, note, value] = JSON.parse(line);
      if (typeof id !== "string" || typeof issued !== "number") return;
      if (note === "forgotten") this.#forgotten = Math.max(this.#forgotten, issued);
      else this.#apply(id, issued, note, value);
    } catch {
      // Cut off, or not ours.
    }
  }

  #apply(id: string, issued: number, note: unknown, value: unknown): void {
    const session = this.#sessions.get(id) ??
      { issued, ended: false, level: undefined, subscriptions: new Set(), tools: new Set() };
    const { subscriptions, tools } = session;
    if (note === "end") session.ended = true;
    else if (note === "level") session.level = String(value);
    else if (note === "unsubscribe") subscriptions.delete(String(value));
    else if (note === "subscribe" && subscriptions.size < MAX_ITEMS) {
      subscriptions.add(String(value));
    } else if (note === "tools" && Array.isArray(value)) {
      for (const tool of value) if (tools.size < MAX_ITEMS) tools.add(String(tool));
    }
    // The latest are the last to be forgotten.
    this.#sessions.delete(id);
    this.#sessions.set(id, session);
  }

  /** Keeps what is still of use and of that the latest, in the file as well. */
  #compact(): void {
    this.#attempt((path) => this.#catchUp(path));
    const kept: string[] = [];
    this.#size = 0;
    for (const [id, session] of [...this.#sessions].reverse()) {
      const lines = linesOf(id, session);
      const isOld = Date.now() - session.issued >= this.maxAge();
      if (!isOld && this.#size + lines.length <= this.maxSize / 4) {
        this.#size += lines.length;
        kept.push(lines);
        continue;
      }
      if (session.ended) this.#forgotten = Math.max(this.#forgotten, session.issued);
      this.#sessions.delete(id);
    }
    this.#attempt((path) => {
      const head = `${JSON.stringify(["", this.#forgotten, "forgotten"])}\n`;
      const temporary = `${path}.${crypto.randomUUID()}.tmp`;
      try {
        fs.writeFileSync(temporary, head + kept.reverse().join(""), { mode: 0o600, flag: "wx" });
        const { ino, size } = fs.lstatSync(temporary);
        fs.renameSync(temporary, path);
        // What is in it is known.
        [this.#inode, this.#read] = [ino, size];
      } finally {
        fs.rmSync(temporary, { force: true });
      }
    });
  }
}

function linesOf(id: string, { issued, ended, level, subscriptions, tools }: NotedSession): string {
  const notes = ended ? [["end"]] : [
    ...(level === undefined ? [] : [["level", level]]),
    ...Array.from(subscriptions, (uri) => ["subscribe", uri]),
    ...Array.from(tools, (tool) => ["tools", [tool]]),
  ];
  return notes.map((note) => `${JSON.stringify([id, issued, ...note])}\n`).join("");
}

/** A file, `undefined` where there is none. @throws {Error} where this user cannot have written it */
function ownFile(path: string): fs.Stats | undefined {
  const file = fs.lstatSync(path, { throwIfNoEntry: false });
  const isOwn = file?.isFile() && (process.getuid === undefined || file.uid === process.getuid());
  if (file !== undefined && !isOwn) throw new Error("found no file of this user");
  return file;
}
