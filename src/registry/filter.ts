/** Filters of the configuration, ready to be asked. */

import type { Filter, ShapedKind, TagRule } from "../config/types.ts";
import { type Glob, parseGlob } from "../lib/glob.ts";
import { rawAt } from "../lib/json-edit.ts";
import { decodedPercent, isObject, type Json } from "../lib/json.ts";
import type { ListItem, ListKind } from "../protocol/lists.ts";
import { exposedName } from "../protocol/names.ts";
import { memoised } from "./source.ts";
import type { ServerEntry, ShapeNotice } from "./types.ts";

/** A {@link Filter} with its patterns read. Whatever has several names is matched by any of them. */
export interface CompiledFilter {
  /** Absent: everything is included. */
  readonly include: readonly Glob[] | undefined;
  readonly exclude: readonly Glob[];
  /** `include` as the URIs that its patterns come to. */
  readonly plain?: readonly Glob[] | undefined;
}

/** Nothing is left out. */
export const EVERYTHING: CompiledFilter = { include: undefined, exclude: [] };

const compiled = new WeakMap<Filter, CompiledFilter>();

/** Reads the patterns, once for each filter object. */
export function compileFilter(filter: Filter | undefined): CompiledFilter {
  if (filter?.include === undefined && filter?.exclude === undefined) return EVERYTHING;
  return memoised(compiled, filter, () => ({
    include: filter.include?.map(parseGlob),
    exclude: (filter.exclude ?? []).map(parseGlob),
    plain: filter.include?.map((pattern) => parseGlob(plainUri(pattern))),
  }));
}

/** Whether any of the patterns matches any of the names. */
export function anyMatch(globs: readonly Glob[], names: readonly string[]): boolean {
  return globs.some((glob) => names.some((name) => glob.matches(name)));
}

/** Whether what has these names is there. */
export function admits({ include, exclude }: CompiledFilter, names: readonly string[]): boolean {
  return (include === undefined || anyMatch(include, names)) && !anyMatch(exclude, names);
}

/** {@link admits} for resources, among whose names is a URI: however that is written. */
export function admitsUri(filter: CompiledFilter, names: readonly string[]): boolean {
  return includesUri(filter, names) && !excludesUri(filter, names);
}

/** Whether a URI is included as it is written, and as the one it comes to for any reader. */
export function includesUri(
  { include, plain = [] }: CompiledFilter,
  names: readonly string[],
): boolean {
  if (include === undefined) return true;
  if (!anyMatch(include, names)) return false;
  const all = [...include, ...plain];
  const parsed = names.flatMap((name) => parsedUri(name)?.slice(0, 2) ?? [name]);
  return anyMatch(all, names.map(plainUri)) && anyMatch(all, parsed);
}

/** Whether a URI is excluded in any of the ways to write it. */
export function excludesUri({ exclude }: CompiledFilter, names: readonly string[]): boolean {
  if (exclude.length === 0) return false;
  const plain = names.flatMap((name) => {
    const uri = plainUri(name);
    return [uri, uri.replace(/[?#].*$/s, ""), ...(parsedUri(name) ?? [])];
  });
  const decoded = plain.map((name) => name.replace(/(%[\da-f]{2})+/gi, decodedPercent));
  const encoded = decoded.map((name) => encodeURI(name.toWellFormed()));
  return anyMatch(exclude, [...names, ...plain, ...decoded, ...encoded]);
}

/** `-`, `.`, `/`, digits, letters, `\`, `_` and `~` in percent-encoding: what is often decoded. */
const NEEDLESSLY_ENCODED = /%(2[d-f]|3\d|[46][1-9a-f]|[57][\da]|5[cf]|7e)/gi;

/**
 * The URI that a text comes to for whoever reads files or makes requests by it: no line breaks and
 * tabs, no needless encoding, `/` for `\`, no dot segments, and scheme and host in their normal form.
 * What is no URI stays as it is.
 */
export function plainUri(text: string): string {
  const [, scheme, rest] =
    /^([a-z][a-z\d+.-]*):(.*)$/is.exec(text.replace(AROUND, "").replace(/[\t\r\n]/g, "")) ??
      [];
  if (scheme === undefined || rest === undefined) return text;
  const name = scheme.toLowerCase();
  const written = rest.replace(NEEDLESSLY_ENCODED, decodedPercent).replaceAll("\\", "/");
  const isFile = name === "file";
  const [, authority, path = ""] = /^\/\/([^/?#]*)(.*)$/s.exec(written) ??
    [, isFile ? "" : undefined, isFile ? `/${written}` : written];
  const segments: string[] = [];
  for (const segment of (isFile ? path.replace(/\/+/g, "/") : path).split("/")) {
    // The empty one before the first slash stays.
    if (segment === "..") {
      segments.splice(Math.max(path.startsWith("/") ? 1 : 0, segments.length - 1));
    } else if (segment !== ".") segments.push(segment);
  }
  // The host of a scheme that is not known may be any text.
  const host = authority && SPECIAL.test(name)
    ? URL.parse(`${name}://${authority}`)?.host ?? authority
    : authority;
  return `${name}:${host === undefined ? "" : `//${host}`}${segments.join("/")}`;
}

const SPECIAL = /^(https?|wss?|ftp|file)$/;
/** What readers of URIs take away at both ends. */
const AROUND = /^[\0-\x20]+|[\0-\x20]+$/g;

/**
 * The URI that a text is for whoever reads it as browsers do, which also says where its path ends:
 * whole, with its path decoded, and then without a query, and as a file of this machine.
 */
export function parsedUri(text: string): readonly string[] | undefined {
  const url = URL.parse(text);
  if (url === null || !SPECIAL.test(url.protocol.slice(0, -1))) return undefined;
  const { protocol, host, search } = url;
  const path = url.pathname.replace(NEEDLESSLY_ENCODED, decodedPercent);
  const decoded = path.replace(/(%[\da-f]{2})+/gi, decodedPercent);
  const base = `${protocol}//${host}`;
  const whole = [`${base}${path}${search}`, `${base}${decoded}${search}`, `${base}${path}`];
  return protocol === "file:" ? [...whole, `file://${path}`] : whole;
}

/**
 * What the patterns of a server are matched with: the upstream's own name; of resources and
 * templates the URI and the name.
 */
export function ownNames(kind: ListKind, item: ListItem): readonly string[] {
  const own = item.origin ?? item.key;
  if (kind === "tools" || kind === "prompts") return [own];
  const name: unknown = JSON.parse(rawAt(item.raw, ["name"]) ?? "null");
  return typeof name === "string" ? [own, name] : [own];
}

/** How much a call may do, by the annotations of its tool; the least first. */
export const RISKS = ["read", "write", "destructive"] as const;

/** One of {@link RISKS}. */
export type Risk = (typeof RISKS)[number];

/**
 * How much a call of a tool with these annotations may do. Nothing said is the worst, as the
 * specification has it (server/tools: annotations), and only what is said in so many words counts.
 */
export function riskOf(annotations: Json | undefined): Risk {
  if (!isObject(annotations)) return "destructive";
  if (annotations.readOnlyHint === true) return "read";
  return annotations.destructiveHint === false ? "write" : "destructive";
}

/** Whether it is no more than `most`. */
export function isWithin(risk: Risk, most: Risk): boolean {
  return RISKS.indexOf(risk) <= RISKS.indexOf(most);
}

/** Of these patterns those that match nothing of all that was asked for. */
export class PatternUse {
  readonly #unused: Map<string, Glob>;

  constructor(patterns: readonly string[]) {
    this.#unused = new Map(patterns.map((pattern) => [pattern, parseGlob(pattern)]));
  }

  /** Notes what matches one of these names. */
  note(names: readonly string[]): void {
    for (const [pattern, glob] of this.#unused) {
      if (anyMatch([glob], names)) this.#unused.delete(pattern);
    }
  }

  /** The patterns that have matched nothing so far, in their order. */
  get unused(): readonly string[] {
    return [...this.#unused.keys()];
  }
}

/** Which part of a shape is about a list. */
export const SHAPE_OF: Readonly<Record<ListKind, ShapedKind>> = {
  tools: "tools",
  prompts: "prompts",
  resources: "resources",
  templates: "resources",
};

/** Patterns by option that match nothing in one list. */
export interface Unused<Option extends string> {
  readonly kind: ListKind;
  readonly unused: Readonly<Record<Option, readonly string[]>>;
}

/** Resources and templates have their patterns in common: one match in any list is a use. */
export function unusedPatterns<Option extends string>(
  options: readonly Option[],
  parts: readonly Unused<Option>[],
): readonly ShapeNotice[] {
  return [...Map.groupBy(parts, ({ kind }) => SHAPE_OF[kind])].flatMap(([kind, lists]) =>
    options.flatMap((option) => {
      const [first, ...others] = lists.map(({ unused }) => unused[option]);
      return first!
        .filter((pattern) => others.every((unused) => unused.includes(pattern)))
        .map((subject): ShapeNotice => ({ type: "unused", path: [kind, option], subject }));
    })
  );
}

/**
 * Reads the rules once and says the tags of each tool of a server: those of the server, those its own
 * rules give by the upstream's name, and those the rules for all servers give by any of its names,
 * as in profiles.
 */
export function tagsOf(
  { name: server, separator, shape }: Pick<ServerEntry, "name" | "separator" | "shape">,
  rules: readonly TagRule[],
): (item: ListItem) => readonly string[] {
  const ofServer = shape?.tags ?? [];
  const own = compiledRules(shape?.tools?.tags ?? []);
  const all = compiledRules(rules);
  const label = shape?.alias ?? server;
  return (item) => {
    if (own.length + all.length === 0) return ofServer;
    const ownName = item.origin ?? item.key;
    const names = () => [
      ownName,
      item.key,
      exposedName({ server, label, separator, name: item.key, prefix: "always" }),
    ];
    const matching = [
      ...own.filter(({ match }) => match.matches(ownName)),
      ...all.filter(({ match }) => anyMatch([match], names())),
    ];
    return [...new Set([...ofServer, ...matching.flatMap(({ tags }) => tags)])];
  };
}

function compiledRules(rules: readonly TagRule[]) {
  return rules.map(({ match, tags }) => ({ match: parseGlob(match), tags }));
}
