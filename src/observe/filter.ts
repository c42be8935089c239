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

type Texts = (call: ObservedCall) => readonly (string | undefined)[];

/** Where a word without a key is looked for. */
const ANYWHERE: Texts = ({ name, server, client }) => [name, server, client];

/** The keys that are about texts. */
const TEXTS: ReadonlyMap<string, Texts> = new Map(Object.entries<Texts>({
  server: ({ server }) => [server],
  name: ({ name, ownName }) => [name, ownName],
  outcome: ({ outcome }) => [outcome],
  method: ({ method }) => [method],
  // With its version, and without.
  client: ({ client }) => [client, client.replace(/ [^ ]*$/, "")],
  session: ({ session }) => [session],
  endpoint: ({ endpoint }) => [endpoint],
  who: ({ who }) => [who],
  via: ({ via }) => [via],
  id: ({ id }) => [id],
  trace: ({ traceId }) => [traceId],
}));

/** Those about numbers; what ends in "ms" is a time. */
const AMOUNTS = [
  ...["ms", "queueMs", "serverMs", "gatewayMs", "code", "bytesIn", "bytesOut"] as const,
];

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
const TERM = /(?=\S)(-?)(?:([A-Za-z]\w*):)?((?:"[^"]*"?|[^\s"])*)/g;

/** Reads a filter; without terms it means every call. @throws {FilterError} */
export function parseFilter(text: string): CallFilter {
  if (text.length > LONGEST) {
    throw new FilterError(`Cannot read the filter: it is longer than ${LONGEST} characters`);
  }
  const found = [...text.matchAll(TERM)];
  if (found.length > MOST_TERMS) {
    throw new FilterError(`Cannot read the filter: it has more than ${MOST_TERMS} terms`);
  }
  const terms = found.map(([whole, not, key, value = ""]): CallFilter => {
    const holds = readTerm(key, value, whole);
    return not === "" ? holds : (call) => !holds(call);
  });
  return (call) => terms.every((holds) => holds(call));
}

function readTerm(key: string | undefined, given: string, whole: string): CallFilter {
  const values = valuesIn(given);
  if (values.includes("")) {
    throw new FilterError(`Cannot read ${quoted(whole)}: a value is missing; expected key:value`);
  }
  const amount = AMOUNTS.find((one) => one === key);
  if (amount !== undefined) {
    const tests = values.map((value) => amountTest(amount, value));
    return (call) => tests.some((holds) => holds(call[amount]));
  }
  const textsOf = key === undefined ? ANYWHERE : TEXTS.get(key);
  if (textsOf === undefined) throw unknown("key", key!, [...TEXTS.keys(), ...AMOUNTS]);
  if (key === "outcome") values.forEach(checkOutcome);
  const globs = values.map((value) => globOf(key === undefined ? `*${value}*` : value, whole));
  const isMeant = (text = "") => globs.some((glob) => glob.matches(text.toLowerCase()));
  return (call) => textsOf(call).some((text) => text !== undefined && isMeant(text));
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

function amountTest(key: (typeof AMOUNTS)[number], value: string) {
  const [, relation = "", text = ""] = /^([<>]=?|)(.*)$/.exec(value)!;
  const isTime = /ms$/i.test(key);
  const isPlain = /^-?\d+(?:\.\d+)?$/.test(text);
  const bound = isPlain ? Number(text) : isTime ? parseDuration(text) : undefined;
  if (bound === undefined) {
    const example = `500, >500 or ${isTime ? ">=1.5s" : "<=500"}`;
    const term = quoted(`${key}:${value}`);
    throw new FilterError(`Cannot read ${term}: expected a number such as ${example}`);
  }
  const holds = RELATIONS[relation]!;
  return (amount: number | undefined) => amount !== undefined && holds(amount, bound);
}

function unknown(what: string, word: string, known: readonly string[]): FilterError {
  const near = didYouMean(suggest(word, known)) || `; expected one of ${known.join(", ")}`;
  return new FilterError(`Unknown ${what} ${quoted(word)} in the filter${near}`);
}

function quoted(text: string): string {
  return JSON.stringify(cut(text, 60));
}
