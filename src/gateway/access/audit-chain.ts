/** What holds the lines of an audit together, and what finds where they do not hold. */

import { createReadStream } from "node:fs";
import { isObject, joinBytes, type JsonObject, nodeCrypto, parsedText } from "../../lib/json.ts";

/** What the first line of all follows. */
export const NO_LINE = "0".repeat(64);

const LF = 10;
/** Bytes of a line; none of ours is half as long. */
const MAX_LINE = 1024 * 1024;

/** A line as it was written. */
export interface AuditLine extends JsonObject {
  readonly n: number;
  readonly prev: string;
}

/** What the next line has as its `prev`: the SHA-256 of a line without its end. */
export function lineDigest(line: string | Uint8Array): string {
  return nodeCrypto().hash("sha256", line, "hex");
}

/** What a line says; undefined where it is none of an audit. */
export function auditLine(bytes: Uint8Array): AuditLine | undefined {
  const line = parsedText(new TextDecoder().decode(bytes));
  if (!isObject(line)) return undefined;
  const { n, prev } = line;
  return Number.isSafeInteger(n) && typeof prev === "string" ? line as AuditLine : undefined;
}

/** Where a chain goes on, by the last bytes of a file, of which there is at least one. */
export function chainEnd(bytes: Uint8Array) {
  const isCut = bytes.at(-1) !== LF;
  const last = bytes.subarray(0, isCut ? bytes.length : -1);
  const lines: Uint8Array[] = [];
  for (let end = last.length; end >= 0;) {
    const start = end === 0 ? 0 : last.lastIndexOf(LF, end - 1) + 1;
    lines.push(last.subarray(start, end));
    // One that is damaged still counts.
    const n = auditLine(lines.at(-1)!)?.n;
    if (n !== undefined) return { n: n + lines.length - 1, head: lineDigest(lines[0]!), isCut };
    end = start - 1;
  }
  return { n: lines.length, head: lineDigest(lines[0]!), isCut };
}

/** The lines of a file, without their ends; the last one may have none. */
export async function* auditLines(
  path: string,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly isWhole: boolean }> {
  let begun: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Uint8Array>) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      const bytes = joinBytes([...begun, chunk.subarray(start, end)], size + end - start);
      yield { bytes, isWhole: true };
      [begun, size, start] = [[], 0, end + 1];
    }
    begun.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > MAX_LINE) break;
  }
  if (size > 0) yield { bytes: joinBytes(begun, size), isWhole: false };
}

/** The files from the oldest to the latest, by the number of their first line. */
export async function inWrittenOrder(files: readonly string[]): Promise<string[]> {
  const first = new Map<string, number>();
  for (const file of files) {
    for await (const { bytes } of auditLines(file)) {
      first.set(file, auditLine(bytes)?.n ?? Infinity);
      break;
    }
  }
  const of = (file: string) => first.get(file) ?? Infinity;
  return files.toSorted((a, b) => of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : 0);
}

interface Place {
  readonly file: string;
  readonly line: number;
}

/** The first line that is not as it was written, and what shows it. */
export interface BrokenLine extends Place {
  readonly why: string;
}

interface Checked extends Place {
  readonly n: number;
  readonly digest: string;
}

/** Looks at lines one after the other. Told of one that is broken, nothing more is to be asked. */
export class ChainCheck {
  #last: Checked | undefined;
  /** Where a line does not follow the one before: the next tells which of them is not right. */
  #before: Checked | undefined;
  #first: number | undefined;

  /** How many lines hold, from which number on, and what the last of them comes to. */
  get held() {
    const { n = 0, digest = NO_LINE } = this.#last ?? {};
    return { from: this.#first, to: n, head: digest };
  }

  /** Looks at the next line. */
  push(bytes: Uint8Array, isWhole: boolean, place: Place): BrokenLine | undefined {
    const [last, before] = [this.#last, this.#before];
    const line = isWhole ? auditLine(bytes) : undefined;
    if (before !== undefined && last !== undefined) {
      return line?.prev === last.digest ? changed(before) : changed(last);
    }
    if (line === undefined) return { ...place, why: "it is cut off or damaged" };
    const { n, prev } = line;
    this.#last = { ...place, n, digest: lineDigest(bytes) };
    if (last === undefined) {
      this.#first = n;
      return (n === 1) === (prev === NO_LINE) ? undefined : changed(place);
    }
    if (n !== last.n + 1) {
      const what = n > last.n ? "lines are missing before it" : "lines are in another order";
      return { ...place, why: `expected number ${last.n + 1}, found ${n}: ${what}` };
    }
    if (prev !== last.digest) this.#before = last;
    return undefined;
  }

  /** After the last line. `head` is what it has to come to, where that is known from the log. */
  end(head?: string): BrokenLine | undefined {
    const [last, before] = [this.#last, this.#before];
    const isLast = head === undefined || head === last?.digest;
    if (before !== undefined) return changed(isLast ? before : last ?? before);
    if (isLast) return undefined;
    const why =
      "the log names another line as the last: lines after it are missing, or it is changed";
    return { file: last?.file ?? "", line: last?.line ?? 0, why };
  }
}

function changed({ file, line }: Place): BrokenLine {
  return { file, line, why: "it is not what was written" };
}
