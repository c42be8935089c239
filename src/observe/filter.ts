/**
 * The one language for choosing calls: `server:github outcome:error ms:>500 -name:*_list word`. All
 * terms have to hold; commas are an "or", `-` a "not", `*` any text, quotes keep blanks together.
 */

import { parseGlob } from "../lib/glob.ts";
import { didYouMean, suggest } from "../lib/suggest.ts";
import { cut } from "../lib/text.ts";
import { parseDuration } from "../lib/time.ts";
import { OBSERVED_OUTCOMES, type ObservedCall } from "./call.ts";

/** Whether a call is meant. */
export type CallFilter = (call: ObservedCall) => boolean;

/** A filter that cannot be read; the message is for whoever wrote it. */
export class FilterError extends Error {
  override readonly name = "FilterError";
}

type Texts = (call: ObservedCall) => readonly (string | undefined)[];
type Amount = (call: ObservedCall) => number | undefined;

/** What a client calls itself, with and without its version. */
const clientOf: Texts = ({ client }) => [client, client.replace(/ [^ ]*$/, "")];

const TEXTS: Readonly<Record<string, Texts>> = {
  server: (call) => [call.server],
  name: (call) => [call.name, call.ownName],
  outcome: (call) => [call.outcome],
  method: (call) => [call.method],
  client: clientOf,
  session: (call) => [call.session],
  endpoint: (call) => [call.endpoint],
  who: (call) => [call.who],
  via: (call) => [call.via],
  id: (call) => [call.id],
  trace: (call) => [call.traceId],
};

const TIMES: Readonly<Record<string, Amount>> = {
  ms: (call) => call.ms,
  queueMs: (call) => call.queueMs,
  serverMs: (call) => call.serverMs,
  gatewayMs: (call) => call.gatewayMs,
};

const AMOUNTS: Readonly<Record<string, Amount>> = {
  ...TIMES,
  code: (call) => call.code,
  bytesIn: (call) => call.bytesIn,
  bytesOut: (call) => call.bytesOut,
};

const KEYS = [...Object.keys(TEXTS), ...Object.keys(AMOUNTS)];

/** Where a word without a key is looked for. */
const words: Texts = ({ name, server, client }) => [name, server, client];

/** Characters, and terms: filters come from addresses, too. */
const [LONGEST, MOST_TERMS] = [1_000, 50];

/** One term: whether it is negated, its key, and what is asked of that; quotes are still there. */
const TERM = /(-?)(?:([A-Za-z]\w*):)?((?:"[^"]*"?|[^\s"])*)/y;

/** Reads a filter; without terms it means every call. @throws {FilterError} */
export function parseFilter(text: string): CallFilter {
  if (text.length > LONGEST) {
    throw new FilterError(`Cannot read the filter: it is longer than ${LONGEST} characters`);
  }
  const terms: CallFilter[] = [];
  for (let at = nextTerm(text, 0); at < text.length; at = nextTerm(text, TERM.lastIndex)) {
    TERM.lastIndex = at;
    const [whole, not, key, value = ""] = TERM.exec(text)!;
    if (terms.length === MOST_TERMS) {
      throw new FilterError(`Cannot read the filter: it has more than ${MOST_TERMS} terms`);
    }
    const holds = readTerm(key, value, whole);
    terms.push(not === "" ? holds : (call) => !holds(call));
  }
  return (call) => terms.every((holds) => holds(call));
}

function nextTerm(text: string, from: number): number {
  while (from < text.length && /\s/.test(text[from]!)) from++;
  return from;
}

function readTerm(key: string | undefined, given: string, whole: string): CallFilter {
  const values = valuesIn(given);
  if (values.includes("")) {
    throw new FilterError(`Cannot read ${quoted(whole)}: a value is missing; expected key:value`);
  }
  if (key === undefined) return anyText(words, values.map((value) => `*${value}*`), whole);
  if (Object.hasOwn(TEXTS, key)) {
    if (key === "outcome") values.forEach(checkOutcome);
    return anyText(TEXTS[key]!, values, whole);
  }
  if (!Object.hasOwn(AMOUNTS, key)) {
    const near = didYouMean(suggest(key, KEYS)) || `; expected one of ${KEYS.join(", ")}`;
    throw new FilterError(`Unknown key ${quoted(key)} in the filter${near}`);
  }
  const tests = values.map((value) => amountTest(key, value));
  return (call) => {
    const amount = AMOUNTS[key]!(call);
    return amount !== undefined && tests.some((holds) => holds(amount));
  };
}

/** Commas part values, but within quotes and in the alternatives of a pattern. */
function valuesIn(given: string): string[] {
  if (given.includes("{") && !given.includes('"')) return [given];
  const parts = given.match(/(?:"[^"]*"?|[^,"])+|(?<=,|^)(?=,|$)/g) ?? [""];
  return parts.map((part) => part.replaceAll('"', ""));
}

function anyText(textsOf: Texts, patterns: readonly string[], whole: string): CallFilter {
  try {
    const globs = patterns.map((pattern) => parseGlob(pattern.toLowerCase()));
    return (call) =>
      textsOf(call).some((text) => {
        const lower = text?.toLowerCase();
        return lower !== undefined && globs.some((glob) => glob.matches(lower));
      });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new FilterError(`Cannot read ${quoted(whole)}: it has too many alternatives`);
  }
}

/** A name that nobody has is an honest question; an outcome that there is not is a mistake. */
function checkOutcome(value: string): void {
  const isKnown = OBSERVED_OUTCOMES.some((one) => one === value.toLowerCase());
  if (isKnown || /[*?{\\]/.test(value)) return;
  const near = didYouMean(suggest(value, OBSERVED_OUTCOMES)) ||
    `; expected one of ${OBSERVED_OUTCOMES.join(", ")}`;
  throw new FilterError(`Unknown outcome ${quoted(value)} in the filter${near}`);
}

function amountTest(key: string, value: string): (amount: number) => boolean {
  const [, relation = "", text = ""] = /^([<>]=?|)(.*)$/.exec(value)!;
  const isPlain = /^-?\d+(?:\.\d+)?$/.test(text);
  const bound = isPlain
    ? Number(text)
    : Object.hasOwn(TIMES, key)
    ? parseDuration(text)
    : undefined;
  if (bound === undefined) {
    const example = Object.hasOwn(TIMES, key) ? "500, >500 or >=1.5s" : "500, >500 or <=500";
    throw new FilterError(
      `Cannot read ${quoted(`${key}:${value}`)}: expected a number such as ${example}`,
    );
  }
  switch (relation) {
    case ">":
      return (amount) => amount > bound;
    case ">=":
      return (amount) => amount >= bound;
    case "<":
      return (amount) => amount < bound;
    case "<=":
      return (amount) => amount <= bound;
    default:
      return (amount) => amount === bound;
  }
}

function quoted(text: string): string {
  return JSON.stringify(cut(text, 60));
}
