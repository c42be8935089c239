/** The file of the audit: lines are appended, each with the digest of the one before. */

import { type FileHandle, mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { systemReason } from "../../lib/own-file.ts";
import { TokenBucket } from "../../lib/rate-limit.ts";
import { codeOf } from "../../lib/text.ts";
import { type Clock, systemClock } from "../../lib/time.ts";
import type { Logger } from "../../log/mod.ts";
import { chainEnd, lineDigest, NO_LINE } from "./audit-chain.ts";

/** What of a disk is needed. */
export interface AuditDisk {
  /** How long a file is, and its last bytes; undefined where there is none. */
  end(path: string, most: number): Promise<{ size: number; bytes: Uint8Array } | undefined>;
  /** Appends to a file, made where there is none. How many bytes have found room. */
  append(path: string, bytes: Uint8Array): Promise<number>;
  /** A file that is not there is no fault. */
  rename(from: string, to: string): Promise<void>;
}

const DISK: AuditDisk = {
  end: (path, most) =>
    ifThere(async () => {
      const file = await open(path, "r");
      try {
        const { size, mode } = await file.stat();
        // Whoever has made it so, it is nothing for everybody; a group may be meant to read it.
        if ((mode & 0o007) > 0 && process.platform !== "win32") {
          await file.chmod(0o600).catch(() => {});
        }
        const bytes = new Uint8Array(Math.min(size, most));
        const { bytesRead } = await file.read(bytes, 0, bytes.length, size - bytes.length);
        return { size, bytes: bytes.subarray(0, bytesRead) };
      } finally {
        await file.close();
      }
    }),
  async append(path, bytes) {
    // Opened each time: somebody may have moved it away.
    const begin = () => open(path, "a", 0o600);
    const file: FileHandle = await ifThere(begin) ??
      await mkdir(dirname(path), { recursive: true, mode: 0o700 }).then(begin);
    try {
      return (await file.write(bytes)).bytesWritten;
    } finally {
      await file.close();
    }
  },
  rename: async (from, to) => void await ifThere(() => rename(from, to)),
};

async function ifThere<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

/** What an {@link AuditFile} stands on. */
export interface AuditFileParts {
  readonly path: string;
  readonly log: Pick<Logger, "info" | "warning" | "error">;
  /** Nothing is written before. */
  readonly after?: Promise<void> | undefined;
  readonly clock?: Clock | undefined;
  readonly disk?: AuditDisk | undefined;
  /** Bytes after which the next file begins. */
  readonly maxSize?: number;
}

const MAX_SIZE = 64 * 1024 * 1024;
/** Files beside the one that is written. */
const KEPT = 10;
/** What stands behind its name in theirs, and in that of itself. */
export const AUDIT_ENDS = /^(\.\d+)?$/;
/** Bytes of lines that wait for the disk; what comes then is counted, and lost. */
const MAX_WAITING = 8 * 1024 * 1024;
/** Bytes in which the last line is looked for. */
const END = 1024 * 1024;
/** Milliseconds until what waits is written, and until it is tried again. */
const [FLUSH, RETRY] = [100, 1_000];
/** Milliseconds after which a disk that does not answer counts as one that cannot be written. */
const PATIENCE = 5_000;
const HOUR = 3_600_000;

/** The last line there is, and how long the file is then. */
interface Chain {
  n: number;
  head: string;
  fileSize: number;
}

/** Appends lines, some at a time. Nobody waits for it. */
export class AuditFile {
  #waiting: { readonly t: string; readonly rest: string }[] = [];
  #size = 0;
  #lost = 0;
  /** Written next, as it is: what has found no room stays as it was begun. */
  #rest: Uint8Array = new Uint8Array();
  /** Undefined before the file was looked at. */
  #chain: Chain | undefined;
  #unschedule: (() => void) | undefined;
  #writing: Promise<void> | undefined;
  #since = 0;
  #problem: string | undefined;
  #told: string | undefined;
  #followed = false;
  #untell: () => void;
  readonly #complaints: TokenBucket;
  readonly #clock: Clock;
  readonly #disk: AuditDisk;

  constructor(private readonly parts: AuditFileParts) {
    ({ clock: this.#clock = systemClock, disk: this.#disk = DISK } = parts);
    const now = this.#clock.now();
    this.#complaints = new TokenBucket({ ratePerSecond: 1 / 600, burst: 1, now });
    this.#untell = this.#clock.after(HOUR, () => this.#tellHead(true), true);
  }

  /** Why nothing can be written now. */
  get problem(): string | undefined {
    const isStuck = this.#writing !== undefined && this.#clock.now() - this.#since > PATIENCE;
    if (this.#problem !== undefined) return this.#problem;
    return isStuck || this.#chain === undefined ? "the disk does not answer" : undefined;
  }

  /** Takes a line: its time, and its other members. */
  add(t: string, members: object): void {
    const rest = JSON.stringify(members).slice(1);
    if (this.#size + rest.length > MAX_WAITING) {
      this.#lost++;
      return;
    }
    this.#waiting.push({ t, rest });
    this.#size += rest.length;
    this.#schedule(FLUSH);
  }

  /** Writes what waits. Never rejects. */
  flush(): Promise<void> {
    this.#unschedule?.();
    this.#unschedule = undefined;
    return this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
      if (this.#problem !== undefined) this.#schedule(RETRY);
      else if (this.#waiting.length > 0) this.#schedule(FLUSH);
    });
  }

  /** Writes the last, once. */
  async close(): Promise<void> {
    await this.#writing;
    await this.flush();
    this.#unschedule?.();
    this.#untell();
    this.#tellHead(false);
  }

  #schedule(ms: number): void {
    this.#unschedule ??= this.#clock.after(ms, () => void this.flush(), true);
  }

  async #write(): Promise<void> {
    const { path, log, after } = this.parts;
    await after;
    this.#since = this.#clock.now();
    try {
      let chain = this.#chain ?? await this.#follow();
      do {
        // What was begun comes first.
        if (this.#rest.length === 0 && this.#waiting.length > 0) chain = await this.#follow();
        if (this.#rest.length === 0) await this.#compose(chain);
        do {
          const written = await this.#disk.append(path, this.#rest);
          if (written === 0 && this.#rest.length > 0) throw new Error("nothing was written");
          chain.fileSize += written;
          this.#rest = this.#rest.subarray(written);
        } while (this.#rest.length > 0);
      } while (this.#waiting.length > 0);
      if (this.#problem !== undefined) {
        log.info("The audit {file} is written again", { file: path });
      }
      this.#problem = undefined;
    } catch (error) {
      this.#problem = systemReason(error);
      this.#complain(error);
    }
  }

  #complain(error: unknown): void {
    if (!this.#complaints.take(this.#clock.now()).allowed) return;
    const [file, reason] = [this.parts.path, systemReason(error)];
    this.parts.log.error("Cannot write the audit {file}: {reason}", { file, reason });
  }

  /**
   * Finds where the lines end that those of this run follow, and goes on behind what somebody else
   * has written meanwhile, another gateway for one. Only where that comes later: what was taken out
   * or changed must show.
   */
  async #follow(): Promise<Chain> {
    const { path, log } = this.parts;
    const known = this.#chain;
    const fileSize = (await this.#disk.end(path, 0))?.size ?? 0;
    if (known?.fileSize === fileSize) return known;
    const last = await this.#disk.end(fileSize > 0 ? path : `${path}.1`, END);
    const { isCut, n, head } = last === undefined || last.size === 0
      ? { isCut: false, n: 0, head: NO_LINE }
      : chainEnd(last.bytes);
    if (isCut && fileSize > 0) this.#rest = new Uint8Array([10]);
    if (known === undefined) {
      if (this.#rest.length > 0) {
        log.warning("The audit {file} ends in a line that was cut off, number {n}", {
          file: path,
          n,
        });
      }
      if (n > 0) {
        log.info("The audit {file} goes on after line {n}: {head}", { file: path, n, head });
      }
    } else if (fileSize > known.fileSize && !this.#followed) {
      this.#followed = true;
      log.warning("Somebody else writes to the audit {file}: each gateway needs its own", {
        file: path,
      });
    }
    const isLater = n > (known?.n ?? -1);
    return this.#chain = isLater ? { n, head, fileSize } : { ...known!, fileSize };
  }

  async #compose(chain: Chain): Promise<void> {
    if (this.#waiting.length === 0) return;
    if (chain.fileSize >= (this.parts.maxSize ?? MAX_SIZE)) {
      // What cannot be moved away can still be written to.
      await this.#rotate(chain).catch((error) => this.#complain(error));
    }
    if (this.#lost > 0) {
      this.#waiting.push({
        t: new Date().toISOString(),
        rest: `"event":"lost","outcome":"${this.#lost} lines"}`,
      });
    }
    const lines = this.#waiting.map(({ t, rest }) => {
      const line = `{"t":"${t}","n":${++chain.n},"prev":"${chain.head}",${rest}`;
      chain.head = lineDigest(line);
      return `${line}\n`;
    });
    [this.#waiting, this.#size, this.#lost] = [[], 0, 0];
    this.#rest = new TextEncoder().encode(lines.join(""));
  }

  async #rotate(chain: Chain): Promise<void> {
    const { path } = this.parts;
    for (let at = KEPT; at > 1; at--) {
      await this.#disk.rename(`${path}.${at - 1}`, `${path}.${at}`);
    }
    await this.#disk.rename(path, `${path}.1`);
    chain.fileSize = 0;
  }

  /** Whoever takes lines from the end cannot take this one, too. */
  #tellHead(again: boolean): void {
    const { n, head } = this.#chain ?? {};
    const { path, log } = this.parts;
    if (head !== undefined && head !== this.#told) {
      log.info("The audit {file} has {n} lines: {head}", { file: path, n, head });
    }
    this.#told = head;
    if (again) this.#untell = this.#clock.after(HOUR, () => this.#tellHead(true), true);
  }
}
