/** Decides what becomes of each server that was found. Pure. */

import { isRawObject, type RawObject } from "../../config/layouts.ts";
import { sanitizeServerName } from "../../config/profiles.ts";
import type { Json } from "../../lib/json.ts";
import { leadsToGateway } from "./clients.ts";
import type { FoundServer, Source } from "./import-source.ts";
import { applyEdits, putProperty } from "./json-text.ts";

/** What becomes of a server; only those to `add` are written. */
export type ImportOutcome = "add" | "known" | "conflict" | "gateway" | "invalid";

/** A server and what becomes of it. */
export interface Decision {
  readonly source: Source;
  readonly found: FoundServer;
  readonly verdict: ImportOutcome;
  /** The name it is added under. */
  readonly as: string;
}

/** What a plan depends on. */
export interface PlanOptions {
  /** The servers that are there, in our terms. */
  readonly existing: ReadonlyMap<string, unknown>;
  /** Addresses of this gateway: what leads to them is not added. */
  readonly urls: readonly string[];
  /** Whether a server whose name is taken gets another one; otherwise it is left out. */
  readonly rename: boolean;
}

/** The decisions in the order of the sources; of two servers of one name the first counts. */
export function planImport(
  sources: readonly Source[],
  { existing, urls, rename }: PlanOptions,
): readonly Decision[] {
  // Names that are the same in exposed names cannot stand in one configuration.
  const taken = new Map<string, unknown>();
  for (const [name, entry] of existing) taken.set(sanitizeServerName(name), entry);
  return sources.flatMap((source) =>
    source.servers.map((found): Decision => {
      const { name, entry } = found;
      const decide = (verdict: ImportOutcome, as = name): Decision => ({
        source,
        found,
        verdict,
        as,
      });
      if (leadsToGateway(entry, urls)) return decide("gateway");
      if (found.server === undefined) return decide("invalid");
      const same = taken.get(sanitizeServerName(name));
      if (same !== undefined && isSame(same, entry)) return decide("known");
      if (same !== undefined && !rename) return decide("conflict");
      const as = same === undefined ? name : freeName(name, source, taken, entry);
      if (as === undefined) return decide("known");
      taken.set(sanitizeServerName(as), entry);
      return decide("add", as);
    })
  );
}

/** `github-cursor`, `github-cursor-2`, …; undefined where the server has such a name already. */
function freeName(
  name: string,
  { client }: Source,
  taken: ReadonlyMap<string, unknown>,
  entry: RawObject,
): string | undefined {
  const base = `${name}-${client?.name ?? "imported"}`;
  for (let count = 1;; count++) {
    const candidate = count === 1 ? base : `${base}-${count}`;
    const other = taken.get(sanitizeServerName(candidate));
    if (other === undefined) return candidate;
    if (isSame(other, entry)) return undefined;
  }
}

/** What says where a server is and how it is reached; the rest may have been set here since. */
const TARGET_KEYS = ["command", "args", "cwd", "env", "url", "headers"];

/** Whether two entries have the same target. A variable in the one we have stands for any text. */
export function isSame(ours: unknown, theirs: unknown): boolean {
  if (!isRawObject(ours) || !isRawObject(theirs)) return false;
  return TARGET_KEYS.every((key) => matches(ours[key], theirs[key]));
}

function matches(ours: unknown, theirs: unknown): boolean {
  if (typeof ours === "string" && typeof theirs === "string") {
    return ours === theirs || matchesPattern(ours, theirs);
  }
  if (Array.isArray(ours) || Array.isArray(theirs)) {
    const [one, other] = [ours ?? [], theirs ?? []];
    return Array.isArray(one) && Array.isArray(other) && one.length === other.length &&
      one.every((item, at) => matches(item, other[at]));
  }
  if (isRawObject(ours) || isRawObject(theirs)) {
    const [one, other] = [ours ?? {}, theirs ?? {}];
    if (!isRawObject(one) || !isRawObject(other)) return false;
    const keys = Object.keys(one);
    return keys.length === Object.keys(other).length &&
      keys.every((key) => Object.hasOwn(other, key) && matches(one[key], other[key]));
  }
  return ours === theirs;
}

/** `Bearer ${TOKEN}` is the same as what it was made from. */
function matchesPattern(ours: string, theirs: string): boolean {
  const parts = ours.split(/\$\{[^{}]*\}/);
  if (parts.length === 1) return false;
  const last = parts.pop()!;
  let at = 0;
  for (const [index, part] of parts.entries()) {
    const found = index === 0 ? (theirs.startsWith(part) ? 0 : -1) : theirs.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return theirs.length - last.length >= at && theirs.endsWith(last);
}

/** Adds to the text of a configuration file, JSON or YAML, and keeps what is there. */

/** One value to be added. */
export interface Addition {
  readonly path: readonly string[];
  readonly value: unknown;
}

/**
 * The text with the values added, those that are there not being touched. Blank text begins a file.
 * @throws {Error} where something on the way to a value is no object
 */
export async function addTo(
  text: string,
  file: string,
  additions: readonly Addition[],
): Promise<string> {
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : "";
  const body = text.slice(mark.length);
  const added = /\.ya?ml$/i.test(file)
    ? await addToYaml(body, additions)
    : addToJson(body, additions);
  return mark + added;
}

function addToJson(text: string, additions: readonly Addition[]): string {
  return additions.reduce(
    (result, { path, value }) => applyEdits(result, putProperty(result, path, plain(value))),
    text,
  );
}

/** Comments stay where they are; spaces inside a line may become what the library writes. */
async function addToYaml(text: string, additions: readonly Addition[]): Promise<string> {
  const { parseDocument } = await import("yaml");
  const document = parseDocument(text);
  for (const { path, value } of additions) {
    document.setIn(path, document.createNode(plain(value)));
  }
  const indent = /^( +)\S/m.exec(text)?.[1]?.length ?? 2;
  const indentSeq = !/^( *)[^\s#-][^\n]*:[ \t]*\n\1- /m.test(text);
  const result = document.toString({ lineWidth: 0, indent: Math.max(1, indent), indentSeq });
  return text.includes("\r\n") ? result.replaceAll(/\r?\n/g, "\r\n") : result;
}

/** Without what only a parser knows: prototypes, dates. */
function plain(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}
