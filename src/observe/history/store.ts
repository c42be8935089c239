/** The file of the history: an SQLite database for this user alone. Every method is short work. */

import { chmod, lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { attempt } from "../../lib/json.ts";
import { isReadableByOthers } from "../../lib/own-file.ts";
import { codeOf, messageOf } from "../../lib/text.ts";
import { nextTurn } from "../../lib/time.ts";
import type { ObservedCall } from "../call.ts";
import type { Batch, KeptBody, MinuteTally, ProblemCount } from "./pending.ts";
import { bucketsText, type Row, TALLIES, Tally, type TallyTable } from "./tally.ts";

type Value = number | string | null | Uint8Array;

/** Raised with the meaning of the tables; a file of another number is left alone. */
const SCHEMA = 1;

/** The tables, in the order of their columns. */
const TABLES = `
CREATE TABLE IF NOT EXISTS meta(schema INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS call(id TEXT PRIMARY KEY, at INTEGER, process TEXT, rid TEXT, method TEXT,
  server TEXT, name TEXT, client TEXT, session TEXT, endpoint TEXT, outcome TEXT, code INTEGER,
  ms REAL, queue_ms REAL, server_ms REAL, bytes_in INTEGER, bytes_out INTEGER, via TEXT,
  cached INTEGER, trace TEXT, who TEXT, parent TEXT) STRICT;
CREATE INDEX IF NOT EXISTS call_at ON call(at);
CREATE TABLE IF NOT EXISTS body(call TEXT PRIMARY KEY, request BLOB, result BLOB, flags INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS minute(at INTEGER, server TEXT, calls INTEGER, failed INTEGER, sum_ms REAL,
  buckets TEXT, PRIMARY KEY(at, server)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hour(at INTEGER, server TEXT, name TEXT, client TEXT, calls INTEGER,
  failed INTEGER, tool_errors INTEGER, sum_ms REAL, buckets TEXT, bytes_out INTEGER, repeats INTEGER,
  PRIMARY KEY(at, server, name, client)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS problem(fingerprint TEXT PRIMARY KEY, server TEXT, name TEXT, code INTEGER,
  text TEXT, first INTEGER, last INTEGER, count INTEGER, sample_call TEXT, state TEXT) STRICT;
CREATE TABLE IF NOT EXISTS alert(rule TEXT, subject TEXT, since INTEGER, until INTEGER, told INTEGER,
  text TEXT, PRIMARY KEY(rule, subject, since)) STRICT;
`;

/**
 * A commit is not to wait for the disk, nor for whoever else has the file; the checkpoint has its
 * own time. Pages that are free can be given back only where that is said before the first table.
 */
const SETTINGS = `PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;
PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=4194304;
PRAGMA cache_size=-512;`;

/** What lies beside the file while it is open. */
const PARTS = ["-wal", "-shm"];

/** Why the store cannot be used: `locked` passes, `garbage` is put aside, the rest may be mended. */
export function troubleOf(error: unknown): "locked" | "garbage" | "other" {
  // Of one runtime they have no number.
  const text = messageOf(error);
  if (/\b(?:locked|busy)\b/.test(text)) return "locked";
  return /not a database|malformed/.test(text) ? "garbage" : "other";
}

/** Puts what is no history aside, in the place of what was put aside before. Never rejects. */
export async function putAside(path: string): Promise<void> {
  await rename(path, `${path}.broken`).catch(() => {});
  for (const part of PARTS) await removePart(path + part);
}

/** An open history. All methods throw what SQLite throws. */
export class Store {
  readonly #statements = new Map<string, StatementSync>();
  /** As they were when it was opened. */
  #files: readonly (number | undefined)[] = [];
  /** Rows since the last checkpoint. */
  #written = 0;

  private constructor(
    private readonly database: DatabaseSync,
    /** The process whose calls are added. */
    readonly process: string,
    private readonly path: string,
  ) {}

  /** With turns for others between the steps. */
  static async open(path: string, name: string): Promise<Store> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const found = await lstat(path).catch((error) => {
      if (codeOf(error) !== "ENOENT") throw error;
    });
    const user = process.getuid?.();
    if (found === undefined) await (await open(path, "a", 0o600)).close();
    else if (!found.isFile()) throw new Error("found no regular file");
    else if (user !== undefined && found.uid !== user) {
      throw new Error(`found a file of user ${found.uid}, expected one of ${user}`);
    } else if (isReadableByOthers(found.mode)) await chmod(path, 0o600);
    const sqlite = await import("node:sqlite");
    await nextTurn();
    const database = new sqlite.DatabaseSync(path, { timeout: 0 });
    try {
      database.exec(SETTINGS);
      await nextTurn();
      const store = new Store(database, name, path);
      store.transaction(() => store.#prepareTables());
      store.#files = await filesAt(path);
      return store;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /**
   * Whether somebody has removed the file, or put another one in its place: that is not to get what
   * is in the journal of ours, so the journal goes.
   */
  async isGone(): Promise<boolean> {
    const [file, ...parts] = await filesAt(this.path);
    if (file === this.#files[0]) return false;
    for (const [at, part] of PARTS.entries()) {
      if (parts[at] === this.#files[at + 1]) await removePart(this.path + part);
    }
    return true;
  }

  #prepareTables(): void {
    this.database.exec(TABLES);
    // Files of the first days have no such column.
    attempt(() => this.database.exec("ALTER TABLE alert ADD COLUMN text TEXT"));
    const { schema } = this.all("SELECT schema FROM meta")[0] ?? {};
    if (schema === undefined) this.run("INSERT INTO meta VALUES(?)", SCHEMA);
    else if (schema !== SCHEMA) throw new Error(`found format ${schema}, expected ${SCHEMA}`);
  }

  /** All or nothing of what is done in it. */
  transaction(work: () => void): void {
    this.database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.database.exec("COMMIT");
    } catch (error) {
      // Some failures have rolled back already; what failed first says more.
      attempt(() => this.database.exec("ROLLBACK"));
      throw error;
    }
  }

  all(sql: string, ...values: readonly Value[]): Row[] {
    return this.#prepared(sql).all(...values) as Row[];
  }

  /** How many rows it has changed. */
  run(sql: string, ...values: readonly Value[]): number {
    this.#written++;
    return Number(this.#prepared(sql).run(...values).changes);
  }

  #prepared(sql: string): StatementSync {
    return this.#statements.getOrInsertComputed(sql, (text) => this.database.prepare(text));
  }

  /** The writing of a batch, step by step; each is to be done in a transaction. */
  steps({ tallies, calls, problems, alerts, bodies }: Batch): (() => void)[] {
    const ofTable = (table: TallyTable) => {
      const groups = Map.groupBy(tallies, (tally) => keyIn(table, tally).join("\0"));
      return Array.from(groups.values(), (group) => () => this.#addTallies(table, group));
    };
    return [
      ...ofTable("minute"),
      ...ofTable("hour"),
      ...calls.map((call) => () => this.#addCall(call)),
      ...Array.from(problems.values(), (problem) => () => this.#addProblem(problem)),
      ...alerts.map(({ rule, subject, since, until, told, text }) => () =>
        this.#put("alert", rule, subject, since, until, told, text)
      ),
      ...bodies.map((body) => () => this.#addBody(body)),
    ];
  }

  /** The name of a call among those of all processes. */
  idOf(rid: string): string {
    return rid.includes(".") ? rid : `${this.process}.${rid}`;
  }

  #put(table: string, ...values: readonly (Value | undefined)[]): void {
    const places = values.map(() => "?");
    this.run(`INSERT OR REPLACE INTO ${table} VALUES(${places})`, ...values.map((v) => v ?? null));
  }

  #addCall(call: ObservedCall): void {
    const { id, at, method, server, client, endpoint, outcome, ms, queueMs, serverMs } = call;
    this.#put(
      "call",
      ...[this.idOf(id), Math.floor(at), this.process, id, method, server, call.name, client],
      // A server may answer with any number for a code.
      ...[call.session, endpoint, outcome, Number.isSafeInteger(call.code) ? call.code : null],
      ...[ms, queueMs, serverMs, call.bytesIn, call.bytesOut, call.via, call.cached ? 1 : 0],
      ...[call.traceId, call.who, call.parent],
    );
  }

  /** To one row. */
  #addTallies(table: TallyTable, tallies: readonly MinuteTally[]): void {
    const { keys, sums } = TALLIES[table];
    const key = keyIn(table, tallies[0]!);
    const where = keys.map((name) => `${name} = ?`).join(" AND ");
    const sum = new Tally();
    for (const row of this.all(`SELECT * FROM ${table} WHERE ${where}`, ...key)) sum.add(row);
    for (const tally of tallies) sum.add(tally);
    const values = [...key, ...sums.map((name) => sum[name]), bucketsText(sum.buckets)];
    this.#put(`${table}(${keys}, ${sums}, buckets)`, ...values);
  }

  #addProblem({ fingerprint, server, name, code, text, ...one }: ProblemCount): void {
    this.run(
      `INSERT INTO problem VALUES(?,?,?,?,?,?,?,?,?,'open') ON CONFLICT DO UPDATE SET
      last = max(last, excluded.last), count = count + excluded.count,
      sample_call = excluded.sample_call, state = iif(state = 'done', 'open', state)`,
      ...[fingerprint, server, name, code ?? null, text, Math.floor(one.first)],
      ...[Math.floor(one.last), one.count, this.idOf(one.sample)],
    );
  }

  /** Of a call that was not kept its body is not, either. */
  #addBody({ id, request, result, flags }: KeptBody): void {
    const call = this.idOf(id);
    const from = "SELECT ?,?,?,? WHERE EXISTS (SELECT 1 FROM call WHERE id = ?)";
    this.run(`INSERT OR REPLACE INTO body ${from}`, call, request, result, flags, call);
  }

  /**
   * Brings what was written from the journal into the file, which may hold up the loop for some
   * milliseconds: to be done when nobody waits, and in the end in any case.
   */
  checkpoint(isIdle: boolean): void {
    if (this.#written < (isIdle ? 200 : 20_000)) return;
    this.#written = 0;
    this.database.prepare("PRAGMA wal_checkpoint(PASSIVE)").all();
  }

  /** Bytes of pages in use. */
  get size(): number {
    return (this.#pragma("page_count") - this.#pragma("freelist_count")) *
      this.#pragma("page_size");
  }

  /** Gives a few free pages back to the disk; false when there are none. */
  shrink(): boolean {
    // `exec` would free one page only.
    this.#written += this.#prepared("PRAGMA incremental_vacuum(64)").all().length;
    return this.#pragma("freelist_count") > 0;
  }

  #pragma(name: string): number {
    return Number(this.all(`PRAGMA ${name}`)[0]?.[name]);
  }

  /** Never throws. */
  close(): void {
    this.#statements.clear();
    attempt(() => this.database.close());
  }
}

/** What tells the files at a path from others; undefined where there are none. */
function filesAt(path: string): Promise<(number | undefined)[]> {
  const files = ["", ...PARTS].map((part) => lstat(path + part).catch(() => undefined));
  return Promise.all(files.map(async (file) => (await file)?.ino));
}

function removePart(path: string): Promise<void> {
  return rm(path, { force: true }).catch(() => {});
}

/** The values of the columns that make a row one. */
function keyIn(table: TallyTable, tally: MinuteTally): Value[] {
  const { keys, span } = TALLIES[table];
  const at = Math.floor(tally.at / span) * span;
  return keys.map((name) => name === "at" ? at : tally[name]);
}
