/**
 * Keeps secrets out of everything that is written down: known secret values wherever they occur,
 * values under telling keys (`authorization`, `password`, …), and credentials that show by their
 * form (URL userinfo, `?token=`, `Bearer …`).
 */

import { attempt } from "./json.ts";
import { putLast } from "./recent.ts";

/** What stands where a secret was. */
export const REDACTED = "[redacted]";

/** Shorter values ("1", "on") are everywhere in a log, and nobody's secret. */
export const MIN_SECRET_LENGTH = 4;

/** Values that every log is made of (words, numbers, `/tmp`); to hide them would hide the log. */
const PLAIN_VALUE =
  /^(upstream|server|gateway|mcproxy|tools?|calls?|clients?|session|connect(ion|ed)?|request|config(uration)?|listening|ready|cannot|failed|lost|stderr|true|false|null|none|auto|trace|debug|info|warn|warning|error|fatal|quiet|production|development|staging|prod|test|main|read|write|list|full|local|localhost|127\.0\.0\.1|utf-?8|https?|stdio|json|yaml|text|[\d.]{1,5}|\/[a-z]{1,5}|[a-z]+\/[\w.+-]*(json|event-stream|plain|html)|\*\/\*)$/i;

/**
 * Whether a value that may be a secret is searched for and masked. The `env` values of a config are
 * all secrets to us, and "1", "true", "read", "/tmp" or a port would blank out half of every line. Telling
 * keys and URL forms are masked whatever the value is.
 */
export function isMaskable(value: string): boolean {
  const word = value.trim();
  return word.length >= MIN_SECRET_LENGTH && !PLAIN_VALUE.test(word);
}

/** How often a secret may have been written into JSON, one text inside the other. */
const ESCAPE_LEVELS = 4;

/** What stands where somebody has cut a text. */
const CUT = "…";

/** Of the cuts in a text so many are looked at, from its end: a server may write any number. */
const MAX_CUTS = 8;

const MAX_DEPTH = 6;
const MAX_ITEMS = 100;
const MAX_VALUES = 2_000;

/** A secret such as `postgres` may be a word of ours, one with anything else in it is none. */
const ONE_WORD = /^[\p{L}\p{M}]+$/u;

/** What a name is made of, as servers, tools and prompts have them. */
const NAME_CHARACTER = /[\w.\/-]/;

/** Secrets that have come into being since the start, with their forms, by whose they are. */
const LATE = new Map<string, Map<string, readonly string[]>>();
/** So many of one, the latest: those in use, and what they took the place of. Nobody pushes out another's. */
const MOST_OF_ONE = 6;
/** More than there are logins at work; who was not heard of for longest goes. */
const MOST_OWNERS = 8_192;
/** All their forms: every redactor knows these, too. */
let lateForms: readonly string[] = [];

/** Whoever gives them may choose them: what is shorter, or made of words, may be a text of ours. */
const MIN_LATE_LENGTH = 8;
const WORDS = /^\p{Lu}?[\p{Ll}\p{M}\s/._:-]{0,19}$/u;

/**
 * From now on no log, error or status of this process has this text in it. What anybody could
 * guess is no secret, and stays: a server that calls its token "other" must not blank out words.
 * What `owner` uses is to be told again now and then, what comes instead takes its place in time.
 */
export function keepSecret(secret = "", owner = ""): void {
  const own = LATE.get(owner) ?? new Map<string, readonly string[]>();
  const known = own.get(secret);
  const forms = known ?? expandSecrets([secret])
    .filter((form) => form.length >= MIN_LATE_LENGTH && !WORDS.test(form));
  if (forms.length === 0) return;
  putLast(own, secret, forms, MOST_OF_ONE);
  putLast(LATE, owner, own, MOST_OWNERS);
  if (known === undefined) {
    lateForms = [...LATE.values()].flatMap((one) => [...one.values()].flat());
  }
}

/** Replaces secrets; no method changes its argument. */
export interface Redactor {
  /** The text with every secret replaced by {@link REDACTED}. */
  text(text: string): string;
  /** The text with what `replace` makes of every secret. */
  each(text: string, replace: (secret: string) => string): string;
  /** As {@link Redactor.text} for words of our own, which may be those of a secret. */
  own(text: string): string;
  /**
   * A copy made of plain JSON values: errors, maps, headers, dates and the like turned into objects
   * and strings, cycles and what is too deep or too long into a short remark. Never throws.
   */
  value(value: unknown): unknown;
}

/**
 * Makes a redactor for the given secrets; O(total length) to build. No pattern is made of them: a
 * secret may be of any length. What `isName` knows is left as it is: names are no secrets.
 */
export function createRedactor(
  secrets: Iterable<string> = [],
  isName: (word: string) => boolean = () => false,
): Redactor {
  const needles = expandSecrets(secrets);
  const others = needles.filter((needle) => !ONE_WORD.test(needle));
  const mask = (input: string, known: readonly string[], replace?: Replace): string => {
    const needles = lateForms.length === 0 ? known : [...known, ...lateForms];
    const spans = shapedSpans(input);
    for (const needle of needles) {
      for (let at = input.indexOf(needle); at >= 0; at = input.indexOf(needle, at + 1)) {
        const end = at + needle.length;
        if (!isName(nameAround(input, at, end))) spans.push([at, end]);
      }
    }
    if (needles.length > 0 && input.includes(CUT)) spans.push(...cutSpans(input, needles));
    return spans.length === 0 ? input : masked(input, spans, replace);
  };
  const text = (input: string) => mask(input, needles);
  const each = (input: string, replace: Replace) => mask(input, needles, replace);
  const own = (input: string) => mask(input, others);
  return { text, each, own, value: (value) => new Copier(text).copy(value, 0) };
}

/** Characters of a name: whoever repeats a secret without end makes nobody look at all of it. */
const MOST_NAME = 256;

/** The name a part of a text belongs to, if it is one. */
function nameAround(text: string, start: number, end: number): string {
  const isShort = () => end - start <= MOST_NAME;
  while (start > 0 && isShort() && NAME_CHARACTER.test(text[start - 1]!)) start--;
  while (end < text.length && isShort() && NAME_CHARACTER.test(text[end]!)) end++;
  return text.slice(start, end);
}

/**
 * Whether values under this key are secret whatever they are, as in HTTP headers, environment
 * variables and JSON: `Authorization`, `x-api-key`, `GITHUB_TOKEN`, `clientSecret`. MCP's own
 * progress and page tokens are not.
 */
export function isSensitiveKey(key: string): boolean {
  const name = key.toLowerCase().replace(/[^a-z0-9]/g, "");
  if (/(progress|page)token$/.test(name)) return false;
  return /(token|password|passwd|passphrase|secret|apikey|accesskey|privatekey|credentials?|cookie|authorization|mcpsessionid)$/
    .test(name);
}

/** Every form in which a secret may be met: as it is, escaped, its lines, its credential part. */
export function expandSecrets(secrets: Iterable<string>): string[] {
  const needles = new Set<string>();
  const add = (needle: string) => {
    if (isMaskable(needle)) needles.add(needle);
  };
  for (const secret of secrets) {
    const parts = [secret, secret.trim()];
    // A server's stderr is logged line by line: a key file in an environment variable must be
    // known by its lines; without their indentation, or the end of a JSON object would be one.
    if (/[\r\n]/.test(secret)) parts.push(...secret.split(/\s*[\r\n]\s*/));
    const credential = /^(?:bearer|basic|token|digest|apikey)\s+(\S.*)$/i.exec(secret)?.[1];
    if (credential !== undefined) {
      parts.push(credential);
      const bytes = attempt(() => Uint8Array.fromBase64(credential));
      const password = bytes && new TextDecoder().decode(bytes).split(":").slice(1).join(":");
      if (/^basic/i.test(secret) && password !== undefined) parts.push(password);
    }
    for (const part of parts) {
      // Errors quote JSON that quotes JSON: each time what is escaped is escaped again.
      for (let escaped = part, level = 0; level <= ESCAPE_LEVELS; level++) {
        add(escaped);
        const next = JSON.stringify(escaped).slice(1, -1);
        if (next === escaped) break;
        escaped = next;
      }
      // Where foreign text is shown on one line.
      // deno-lint-ignore no-control-regex
      add(part.replace(/[\x00-\x1f\x7f]/g, " "));
      add(encodeURIComponent(part.toWellFormed()));
    }
  }
  return [...needles];
}

const URL_USERINFO = /(?<=:\/\/)[^\s\/?#"'<>]+(?=@)/g;
const URL_PARAMETER =
  /(?<=[?&;][\w.-]{0,40}(?:token|key|secret|password|passwd|signature|sig|code)=)[^&\s#"'<>;]+/gi;
const AUTHORIZATION_HEADER =
  /(?<=authorization["']?\s{0,3}[:=]\s{0,3}["']?(?:bearer|basic|token|digest)\s{1,3})[^\s"',]+/gi;
/** Outside the header only what looks like a credential: "basic support" is none. */
const AUTHORIZATION = /(?<=\b(?:bearer|basic)\s{1,4})(?=[\w.~+\/-]*[\d=])[\w.~+\/-]{8,}=*/gi;

/** A key of a gateway of ours. */
const OWN_KEY = /mcproxy_[\w-]{43}/g;

/** A new key: what begins like this is one of ours, for whoever finds it in the wrong place. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return `mcproxy_${bytes.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

type Span = [start: number, end: number];
type Replace = (secret: string) => string;

/**
 * Where a secret begins and a cut ends it: what is shown of it is no secret any more, and still
 * nobody's business. As with whole ones, only from {@link MIN_SECRET_LENGTH} characters on.
 */
function cutSpans(text: string, needles: readonly string[]): Span[] {
  const spans: Span[] = [];
  let end = text.lastIndexOf(CUT);
  for (let seen = 0; end >= MIN_SECRET_LENGTH && seen < MAX_CUTS; seen++) {
    let start = end;
    for (const needle of needles) {
      const first = needle.slice(0, MIN_SECRET_LENGTH);
      let at = text.indexOf(first, Math.max(0, end - needle.length));
      while (at >= 0 && at + first.length <= end && at < start) {
        if (needle.startsWith(text.slice(at, end))) start = at;
        at = text.indexOf(first, at + 1);
      }
    }
    if (start < end) spans.push([start, end]);
    end = text.lastIndexOf(CUT, end - 1);
  }
  return spans;
}

/** Where credentials show by their form alone. The cheap checks spare most lines the search. */
function shapedSpans(text: string): Span[] {
  const spans: Span[] = [];
  const collect = (pattern: RegExp) => {
    for (const match of text.matchAll(pattern)) {
      spans.push([match.index, match.index + match[0].length]);
    }
  };
  if (text.includes("://")) collect(URL_USERINFO);
  if (text.includes("=")) collect(URL_PARAMETER);
  if (text.includes("mcproxy_")) collect(OWN_KEY);
  if (/bearer|basic/i.test(text)) collect(AUTHORIZATION);
  if (/authorization/i.test(text)) collect(AUTHORIZATION_HEADER);
  return spans;
}

/** Replaces the spans; those that touch or overlap become one, so that no end of one shows. */
function masked(text: string, spans: Span[], replace: Replace = () => REDACTED): string {
  spans.sort((a, b) => a[0] - b[0]);
  const apart: Span[] = [];
  for (const span of spans) {
    const last = apart.at(-1);
    if (last === undefined || span[0] > last[1]) apart.push(span);
    else last[1] = Math.max(last[1], span[1]);
  }
  let out = "";
  let done = 0;
  for (const [start, end] of apart) {
    out += text.slice(done, start) + replace(text.slice(start, end));
    done = end;
  }
  return out + text.slice(done);
}

/** Makes one plain copy; bounded in depth, in the length of each list, and in all. */
class Copier {
  readonly #above = new Set<object>();
  #left = MAX_VALUES;

  constructor(private readonly text: (text: string) => string) {}

  copy(value: unknown, depth: number): unknown {
    if (this.#left-- <= 0) return "[too much]";
    switch (typeof value) {
      case "string":
      case "bigint":
        return this.text(String(value));
      case "number": {
        // A secret made of digits may arrive as a number.
        const digits = String(value);
        if (this.text(digits) !== digits) return REDACTED;
        return Number.isFinite(value) ? value : digits;
      }
      case "object":
        return value === null ? null : this.#object(value, depth);
      case "boolean":
      case "undefined":
        return value;
      default:
        return `[${typeof value}]`;
    }
  }

  #object(value: object, depth: number): unknown {
    if (this.#above.has(value)) return "[circular]";
    if (depth >= MAX_DEPTH) return "[too deep]";
    this.#above.add(value);
    try {
      return this.#parts(value, depth + 1);
    } catch {
      // A getter or a proxy of somebody else's threw; a log line must not.
      return "[unreadable]";
    } finally {
      this.#above.delete(value);
    }
  }

  #parts(value: object, depth: number): unknown {
    if (Array.isArray(value) || value instanceof Set) return this.#list([...value], depth);
    if (value instanceof Error) return this.#record(errorEntries(value), depth);
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
      return `[${value.byteLength} bytes]`;
    }
    if (value instanceof Map) {
      return this.#record([...value].map(([key, item]) => [String(key), item]), depth);
    }
    if (value instanceof Headers) return this.#record([...value], depth);
    if ("toJSON" in value && typeof value.toJSON === "function") {
      return this.copy(value.toJSON(), depth);
    }
    return this.#record(Object.entries(value), depth);
  }

  #list(list: readonly unknown[], depth: number): unknown[] {
    const out = list.slice(0, MAX_ITEMS).map((item) => this.copy(item, depth));
    if (list.length > MAX_ITEMS) out.push(`[${list.length - MAX_ITEMS} more]`);
    return out;
  }

  #record(pairs: readonly (readonly [string, unknown])[], depth: number): Record<string, unknown> {
    const out = pairs.slice(0, MAX_ITEMS).map(([key, item]): [string, unknown] => [
      this.text(key),
      isSensitiveKey(key) && !isHarmless(item) ? REDACTED : this.copy(item, depth),
    ]);
    if (pairs.length > MAX_ITEMS) out.push(["…", `[${pairs.length - MAX_ITEMS} more]`]);
    return Object.fromEntries(out);
  }
}

/** Says only whether there is a secret, not which. */
function isHarmless(value: unknown): boolean {
  return typeof value === "boolean" || value === null || value === undefined || value === "";
}

/** The parts of an error worth keeping; most of them are not enumerable. */
function errorEntries(error: Error): [string, unknown][] {
  const pairs: [string, unknown][] = [
    ["name", error.name],
    ["message", error.message],
    ...Object.entries(error).filter(([key]) => key !== "name" && key !== "message"),
    ["stack", error.stack],
  ];
  if (error.cause !== undefined) pairs.push(["cause", error.cause]);
  if (error instanceof AggregateError) pairs.push(["errors", error.errors]);
  return pairs;
}
