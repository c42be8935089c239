/** Checks plain data against a schema and says what is wrong in our own words. */

import * as v from "valibot";
import { valueAt } from "../lib/json.ts";
import { suggest } from "../lib/suggest.ts";
import type { Places } from "./document.ts";
import {
  type ConfigIssue,
  type ConfigPath,
  describeKind,
  describeValue,
  issueAt,
  quote,
} from "./issue.ts";

/** A key people bring from other programs, and what it is called here. */
const FOREIGN_KEYS: Readonly<Record<string, string>> = {
  cmd: "command",
  arguments: "args",
  environment: "env",
  workingDirectory: "cwd",
  endpoint: "url",
  requestTimeout: "timeout",
};

/**
 * Reports every key of `value` that is not known, with a suggestion or what `remedyFor` says of it.
 * Returns the known keys that the unknown ones were most likely meant to be: they need not be
 * reported as missing, too.
 */
export function reportUnknownKeys(
  value: object,
  known: readonly string[],
  collector: IssueCollector,
  remedyFor: (key: string) => string | undefined = () => undefined,
): ReadonlySet<string> {
  const meant = new Set<string>();
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const foreign = Object.hasOwn(FOREIGN_KEYS, key) ? FOREIGN_KEYS[key] : undefined;
    const nearest = foreign !== undefined && known.includes(foreign)
      ? foreign
      : suggest(key, known);
    if (nearest !== undefined) meant.add(nearest);
    const remedy = remedyFor(key);
    const hint = remedy === undefined ? keyHint(nearest, `one of ${known.join(", ")}`) : "";
    collector.error([key], `unknown key ${quote(key)}${hint}`, { part: "key", remedy });
  }
  return meant;
}

function keyHint(nearest: string | undefined, expected: string): string {
  return nearest === undefined ? `, expected ${expected}` : ` (did you mean "${nearest}"?)`;
}

/** At and below these keys every value may be a secret; an issue shows only its kind. */
const SECRET_KEYS: readonly unknown[] = ["env", "headers", "args", "auth", "mcpServers"];

/** Of keys that hold secrets the members that may be shown as they are. */
const HARMLESS_MEMBERS: ReadonlyMap<unknown, readonly unknown[]> = new Map([
  ["embeddings", ["model", "timeout"]],
  ["otel", ["sample", "signals"]],
  ["alerts", ["rules"]],
]);

/** What {@link validate} needs beside schema and value. */
export interface ValidateOptions {
  /** The same data before expansion: what an issue shows. */
  readonly source: unknown;
  /** True for a place whose issues are to be passed over. */
  readonly skip?: (path: ConfigPath) => boolean;
}

/**
 * Runs the schema and reports its issues, except missing and unknown keys of the top object, which
 * the caller reports (valibot stops at the first unknown one and cannot tell a misspelt key). There
 * is no output when there was any issue, reported or (`skipped`: where) passed over.
 */
export function validate<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  collector: IssueCollector,
  { source, skip = () => false }: ValidateOptions,
): { readonly output?: v.InferOutput<Schema>; readonly skipped: readonly ConfigPath[] } {
  const result = v.safeParse(schema, value);
  if (result.success) return { output: result.output, skipped: [] };
  const skipped: ConfigPath[] = [];
  const reported = new Set<string>();
  const missing: ConfigPath[] = [];
  // The places of known keys that are there, misspelt.
  const meant = new Set<string>();
  for (const issue of result.issues) {
    const path = (issue.path ?? []).map(({ key }) => key as string | number);
    const aboutKey = issue.path?.at(-1)?.origin === "key";
    if (aboutKey && path.length === 1) continue;
    // A pipe runs all its checks; one sentence about a value is enough.
    const place = JSON.stringify(path);
    if (reported.has(place)) continue;
    reported.add(place);
    if (skip(path)) {
      skipped.push(path);
      continue;
    }
    if (aboutKey && valueAt(value, path) === undefined) {
      missing.push(path);
      continue;
    }
    if (aboutKey) {
      // A nested object: its schema's message lists what it may contain.
      const key = String(path.at(-1));
      const known = Array.from(issue.message.matchAll(/"(\w+)"/g), ([, name = ""]) => name);
      const nearest = suggest(key, known);
      const hint = keyHint(nearest, issue.message);
      if (nearest !== undefined) meant.add(JSON.stringify([...path.slice(0, -1), nearest]));
      collector.error(path, `unknown key ${quote(key)}${hint}`, { part: "key" });
      continue;
    }
    const written = valueAt(source, path);
    const expanded = typeof written === "string" && written !== issue.input ? " (expanded)" : "";
    const found = `${describeFound(written, path)}${expanded}`;
    // In YAML a bare 8080 or true is no text.
    const isBare = typeof written === "number" || typeof written === "boolean";
    const remedy = isBare && issue.expected === "string" ? "put it in double quotes" : undefined;
    collector.error(path, `found ${found}, expected ${issue.message}`, { remedy });
  }
  for (const path of missing) {
    if (meant.has(JSON.stringify(path))) continue;
    collector.error(path.slice(0, -1), `missing key ${quote(String(path.at(-1)))}`);
  }
  return { skipped };
}

/** A value for "found …", its secrets left out; `path` starts at a server or at the root. */
export function describeFound(value: unknown, path: ConfigPath): string {
  const [key, member] = path;
  const isUrl = key === "url" || key === "urls" || (key === "embeddings" && member === "url");
  if (isUrl && typeof value === "string") return quote(maskUrl(value));
  const isSecret = HARMLESS_MEMBERS.get(key)?.includes(member) === false ||
    SECRET_KEYS.includes(key);
  return isSecret ? describeKind(value) : describeValue(value);
}

/** User information and query of what may be a broken URL. */
function maskUrl(url: string): string {
  return url.replace(/^([\w+.-]+:\/\/)?.*@/s, "$1…@").replace(/\?.*$/s, "?…");
}

/** A hostile or generated file may have millions; nobody reads more. */
const MAX_ISSUES = 100;

/** What can be said about an issue beside its message. */
export interface IssueOptions {
  readonly remedy?: string | undefined;
  /** What of the path to point at; the value by default. */
  readonly part?: "key" | "value";
}

/** Issues and warnings of one configuration, at most a hundred of each. */
export class IssueCollector {
  constructor(
    private readonly places: Places,
    readonly issues: ConfigIssue[] = [],
    readonly warnings: ConfigIssue[] = [],
  ) {}

  /** A collector for the same lists that is told paths from `base` on. */
  below(base: ConfigPath): IssueCollector {
    const place: Places["place"] = (path, part) => this.places.place([...base, ...path], part);
    return new IssueCollector({ place }, this.issues, this.warnings);
  }

  /** Adds something that makes the configuration invalid. */
  error(path: ConfigPath, message: string, options?: IssueOptions): void {
    if (this.issues.length < MAX_ISSUES) this.issues.push(this.issue(path, message, options));
  }

  /** Adds something that is valid and most likely not meant. */
  warn(path: ConfigPath, message: string, options?: IssueOptions): void {
    if (this.warnings.length < MAX_ISSUES) this.warnings.push(this.issue(path, message, options));
  }

  /** Makes warnings of the issues from the index `first` on: what has them is left out. */
  leaveOut(first: number): void {
    for (const issue of this.issues.splice(first)) {
      if (this.warnings.length >= MAX_ISSUES) break;
      this.warnings.push({ ...issue, message: `${issue.message}; left out` });
    }
  }

  /** An issue at a place of the configuration, not added. */
  issue(path: ConfigPath, message: string, { remedy, part }: IssueOptions = {}): ConfigIssue {
    const place = this.places.place(path, part);
    return issueAt(place, place.path, message, remedy);
  }
}
