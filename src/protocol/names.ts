/**
 * The names under which an aggregating view exposes its tools and prompts.
 *
 * They are a pure function of the *set* of what is exposed: neither the order of servers in the
 * config nor the order in which they came up matters. One name can still depend on another server
 * being there, in two cases only: with `prefix: "conflict"` (by its meaning), and where two names
 * collide after spelling. In a collision every party gets a hash suffix, so that a name a client
 * remembers may vanish, but never comes to mean another server's tool because that one joined.
 */

import { shortHash } from "../lib/json.ts";
import { sanitizeName } from "../lib/text.ts";

/** When an exposed name carries its server: `conflict` = where two servers offer the same name. */
export type Prefix = "always" | "conflict" | "never";

/**
 * The longest exposed name. Hosts put their own prefix in front and cut or refuse at 60 to 64
 * characters (PROTOCOL notes, client behaviours).
 */
export const MAX_EXPOSED_NAME = 48;

/** What one name is made of. */
export interface NameSource {
  /** Config key of the server; never its `serverInfo.name`. */
  readonly server: string;
  /** What the server is called in names instead. */
  readonly label?: string;
  /** The upstream's own name, or the one the configuration gives; any text. */
  readonly name: string;
  readonly prefix: Prefix;
  readonly separator: string;
}

/** What {@link exposedName} is told about the rest of the view. */
export interface ExposedNameOptions extends NameSource {
  /** Another server offers the same name; matters with `prefix: "conflict"` only. */
  readonly shared?: boolean;
  /** Says which names are not to be had. It must refuse finitely many. */
  readonly taken?: (candidate: string) => boolean;
}

/** Names that wanted the same spelling, and so were told apart. */
export interface NameCollision {
  /** The spelling all of them wanted. */
  readonly wanted: string;
  /** `prefixed`: the server's name was enough; `suffixed`: they carry a hash. */
  readonly remedy: "prefixed" | "suffixed";
  /** Indexes into the sources. */
  readonly members: readonly number[];
}

/** The names of a whole view. */
export interface ExposedNames {
  /** Parallel to the sources. */
  readonly names: readonly string[];
  readonly collisions: readonly NameCollision[];
}

/**
 * The exposed name of one tool or prompt: `[A-Za-z0-9_-]{1,48}`. Other characters become `_`; what
 * is too long is cut and gets a stable hash suffix; what is `taken` gets another suffix.
 */
export function exposedName(options: ExposedNameOptions): string {
  const { prefix, shared = false, taken } = options;
  const prefixed = prefix === "always" || (prefix === "conflict" && shared);
  for (let level = 0;; level++) {
    const candidate = spell(options, prefixed, level);
    if (taken === undefined || !taken(candidate)) return candidate;
  }
}

/**
 * The exposed names of all tools (or all prompts) of a view. Two different (server, name) never get
 * the same one, and permuting `sources` permutes the result. `reserved` names are given to nobody.
 */
export function exposedNames(
  sources: readonly NameSource[],
  { reserved = new Set() }: { readonly reserved?: ReadonlySet<string> } = {},
): ExposedNames {
  const firstOf = firstOccurrences(sources);
  const distinct = [...sources.keys()].filter((index) => firstOf[index] === index);
  const prefixed = sources.map((source) => source.prefix === "always");
  const names = sources.map((source, index) => spell(source, prefixed[index]!, 0));
  const collisions: NameCollision[] = [];

  const contested = distinct.some((index) => sources[index]!.prefix === "conflict");
  const rivals = contested ? Map.groupBy(distinct, (index) => names[index]!) : [];
  for (const [wanted, members] of rivals) {
    const contenders = members.filter((index) => sources[index]!.prefix === "conflict");
    const owner = sources[members[0]!]!.server;
    if (contenders.length === 0 || members.every((index) => sources[index]!.server === owner)) {
      continue;
    }
    collisions.push({ wanted, remedy: "prefixed", members });
    for (const index of contenders) {
      prefixed[index] = true;
      names[index] = spell(sources[index]!, true, 0);
    }
  }

  const taken = new Set(reserved);
  let pending = distinct;
  for (let level = 1; pending.length > 0; level++) {
    const collided: number[] = [];
    const settled: string[] = [];
    for (const [wanted, members] of Map.groupBy(pending, (index) => names[index]!)) {
      if (members.length === 1 && !taken.has(wanted)) {
        settled.push(wanted);
        continue;
      }
      if (level === 1) collisions.push({ wanted, remedy: "suffixed", members });
      collided.push(...members);
    }
    for (const name of settled) taken.add(name);
    for (const index of collided) names[index] = spell(sources[index]!, prefixed[index]!, level);
    pending = collided;
  }
  for (const [index, first] of firstOf.entries()) names[index] = names[first]!;
  return { names, collisions };
}

/** For each source the index of the first one with the same server and name. */
function firstOccurrences(sources: readonly NameSource[]): readonly number[] {
  const seen = new Map<string, number>();
  return sources.map(({ server, name }, index) => {
    // The length tells where the server ends, whatever characters both are made of.
    const key = `${server.length}:${server}${name}`;
    const first = seen.get(key);
    if (first !== undefined) return first;
    seen.set(key, index);
    return index;
  });
}

const TAG_LENGTH = 8;
/** What remains for readable text in front of `_` and the tag. */
const READABLE = MAX_EXPOSED_NAME - TAG_LENGTH - 1;
/** A cut name keeps this much of its server where the tool's own name needs the room. */
const SERVER_SHARE = 12;
const SEPARATOR_SHARE = 4;

/** One spelling; the levels of one source are its alternatives, in the order they are tried. */
function spell(source: NameSource, prefixed: boolean, level: number): string {
  const name = sanitizeName(source.name);
  const server = prefixed ? sanitizeName(source.label ?? source.server) : "";
  const separator = prefixed ? sanitizeName(source.separator) : "";
  const whole = server + separator + name;
  if (level === 0 && whole.length <= MAX_EXPOSED_NAME) return whole === "" ? "_" : whole;
  const tag = shortHash(JSON.stringify([source.server, source.name, level]), TAG_LENGTH);
  return `${readable(server, separator, name)}_${tag}`;
}

/** At most {@link READABLE} characters; the tool's own name says more than its server's. */
function readable(server: string, separator: string, name: string): string {
  if (server.length + separator.length + name.length <= READABLE) return server + separator + name;
  const between = separator.slice(0, SEPARATOR_SHARE);
  const room = READABLE - between.length;
  const forName = Math.min(name.length, room - Math.min(server.length, SERVER_SHARE));
  return server.slice(0, room - forName) + between + name.slice(0, forName);
}

// URIs that two upstreams share, told apart: `<label>+<uri>`, the label being the server's name as
// it may stand in a URI scheme (RFC 3986, 3.1). Clients parse URIs, some refuse a whole list for an
// invalid one, and parsers lower-case the scheme.
// A `ui://` URI keeps its scheme, for MCP Apps hosts accept no other (ext-apps 2026-01-26): there
// the label stands in the authority, `ui://<label>+<rest>`.

const UI = "ui://";

/**
 * The label of each server, `[a-z][a-z0-9.-]*`, no two alike. A function of the set of names: where
 * two servers would get the same label, each gets a hash suffix.
 */
export function uriLabels(servers: Iterable<string>): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  let pending = [...new Set(servers)];
  const taken = new Set<string>();
  for (let level = 0; pending.length > 0; level++) {
    const wanted = Map.groupBy(pending, (server) => spellLabel(server, level));
    pending = [];
    const settled: string[] = [];
    for (const [label, members] of wanted) {
      if (members.length > 1 || taken.has(label)) {
        pending.push(...members);
        continue;
      }
      labels.set(members[0]!, label);
      settled.push(label);
    }
    for (const label of settled) taken.add(label);
  }
  return labels;
}

/** The URI or URI template under which a view offers the `uri` of the server with this label. */
export function labelUri(label: string, uri: string): string {
  return isUi(uri)
    ? `${uri.slice(0, UI.length)}${label}+${uri.slice(UI.length)}`
    : `${label}+${uri}`;
}

/** What {@link labelUri} made of which label and URI, or `undefined` where it cannot have been it. */
export function splitLabel(
  uri: string,
): { readonly label: string; readonly uri: string } | undefined {
  const start = isUi(uri) ? UI.length : 0;
  const plus = uri.indexOf("+", start);
  if (plus < 0) return undefined;
  return { label: uri.slice(start, plus), uri: uri.slice(0, start) + uri.slice(plus + 1) };
}

function isUi(uri: string): boolean {
  return uri.slice(0, UI.length).toLowerCase() === UI;
}

function spellLabel(server: string, level: number): string {
  const safe = server.toLowerCase().replaceAll(/[^a-z0-9.-]/gu, "-");
  const label = /^[a-z]/.test(safe) ? safe : `s${safe}`;
  return level === 0 ? label : `${label}-${shortHash(JSON.stringify([server, level]))}`;
}
