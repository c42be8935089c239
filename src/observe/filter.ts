/**
 * The one language for choosing calls: `server:github outcome:error ms:>500 -name:*_list word`. All
 * terms have to hold; commas are an "or", `-` a "not", `*` any text, quotes keep blanks together.
 */

import { type Glob, parseGlob } from "../lib/glob.ts";
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

const TEXTS = [
  ...["server", "name", "outcome", "method", "client", "session", "endpoint"] as const,
  ...["who", "via", "id", "trace"] as const,
] as const;
const TIMES = ["ms", "queueMs", "serverMs", "gatewayMs"] as const;
const AMOUNTS = [...TIMES, "code", "bytesIn", "bytesOut"] as const;
const KEYS = [...TEXTS, ...AMOUNTS];

/** What a key is about; without one it is where a word is looked for. */
function textsOf(call: ObservedCall, key?: (typeof TEXTS)[number]) {
  const { name, ownName, server, client, traceId } = call;
  switch (key) {
    case undefined:
      return [name, server, client];
    case "name":
      return [name, ownName];
    case "client":
      // With its version, and without.
      return [client, client.replace(/ [^ ]*$/, "")];
    case "trace":
      return [traceId];
    default:
      return [call[key]];
  }
}

const RELATIONS: Readonly<Record<string, (amount: number, bound: number) => boolean>> = {
  "": (amount, bound) => amount === bound,
  ">": (amount, bound) => amount > bound,
  ">=": (amount, bound) => amount >= bound,
  "<": (amount, bound) => amount < bound,
  "<=": (amount, bound) => amount <= bound,
};

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
  const text = TEXTS.find((one) => one === key);
  if (key === undefined || text !== undefined) {
    if (text === "outcome") values.forEach(checkOutcome);
    const patterns = key === undefined ? values.map((value) => `*${value}*`) : values;
    const globs = patterns.map((pattern) => globOf(pattern, whole));
    return (call) =>
      textsOf(call, text).some((one) => {
        const lower = one?.toLowerCase();
        return lower !== undefined && globs.some((glob) => glob.matches(lower));
      });
  }
  const amount = AMOUNTS.find((one) => one === key);
  if (amount === undefined) throw unknown("key", key, KEYS);
  const tests = values.map((value) => amountTest(amount, value));
  return (call) => tests.some((holds) => holds(call[amount]));
}

/** Commas part values, but within quotes and in the alternatives of a pattern. */
function valuesIn(given: string): string[] {
  if (given.includes("{") && !given.includes('"')) return [given];
  const parts = given.match(/(?:"[^"]*"?|[^,"])+|(?<=,|^)(?=,|$)/g) ?? [""];
  return parts.map((part) => part.replaceAll('"', ""));
}

function globOf(pattern: string, whole: string): Glob {
  try {
    return parseGlob(pattern.toLowerCase());
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new FilterError(`Cannot read ${quoted(whole)}: it has too many alternatives`);
  }
}

/** A name that nobody has is an honest question; an outcome that there is not is a mistake. */
function checkOutcome(value: string): void {
  const isKnown = OBSERVED_OUTCOMES.some((one) => one === value.toLowerCase());
  if (!isKnown && !/[*?{\\]/.test(value)) throw unknown("outcome", value, OBSERVED_OUTCOMES);
}

function unknown(what: string, word: string, known: readonly string[]): FilterError {
  const near = didYouMean(suggest(word, known)) || `; expected one of ${known.join(", ")}`;
  return new FilterError(`Unknown ${what} ${quoted(word)} in the filter${near}`);
}

function amountTest(key: (typeof AMOUNTS)[number], value: string) {
  const [, relation = "", text = ""] = /^([<>]=?|)(.*)$/.exec(value)!;
  const isTime = TIMES.some((one) => one === key);
  const isPlain = /^-?\d+(?:\.\d+)?$/.test(text);
  const bound = isPlain ? Number(text) : isTime ? parseDuration(text) : undefined;
  if (bound === undefined) {
    const term = quoted(`${key}:${value}`);
    const example = `500, >500 or ${isTime ? ">=1.5s" : "<=500"}`;
    throw new FilterError(`Cannot read ${term}: expected a number such as ${example}`);
  }
  const holds = RELATIONS[relation]!;
  return (amount: number | undefined) => amount !== undefined && holds(amount, bound);
}

function quoted(text: string): string {
  return JSON.stringify(cut(text, 60));
}
