import type { Gateway } from "../../gateway/gateway.ts";
import { type JsonObject, parsedObject } from "../../lib/json.ts";
import { didYouMean, suggest } from "../../lib/suggest.ts";
import { RANGES } from "../../observe/history/queries.ts";
import type { Observatory } from "../../observe/observatory.ts";
import type { Visitor } from "../../protocol/exchange.ts";
import { type FrontContext, NO_STORE, readBody } from "../reply.ts";
import type { PlainHeaders } from "../streams.ts";

/** A question to the API, by somebody it is for. */
export interface Asked {
  readonly gateway: Gateway;
  readonly observatory: Observatory;
  readonly context: FrontContext;
  readonly request: Request;
  readonly query: URLSearchParams;
  /** What stands in the path, decoded; empty where nothing does. */
  readonly name: string;
  readonly visitor: Visitor;
  /** Whether what takes its time may go on. */
  readonly holds: () => boolean;
}

/** Of what is about servers and calls: for this origin alone, and kept by nobody. */
export const OWN_HEADERS = {
  ...NO_STORE,
  "x-content-type-options": "nosniff",
  "cross-origin-resource-policy": "same-origin",
};

/** An answer that is an error: `{error, message, …}`. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    readonly status: number,
    readonly error: string,
    message: string,
    readonly more: object = {},
    readonly headers: PlainHeaders = {},
  ) {
    super(message);
  }
}

/** For a parameter, or a member of the body, that is not what it has to be. */
export function unreadable(name: string, expected: string): ApiError {
  return new ApiError(400, `invalid_${name}`, `Cannot read ${name}: expected ${expected}`);
}

/** For a name that nothing has; of `others` the one is said that may be meant. */
export function noSuch(what: string, name: string, others: Iterable<string> = []): ApiError {
  const near = didYouMean(suggest(name, others));
  return new ApiError(404, "not_found", `No such ${what}: ${name}${near}`);
}

/** Items of one answer, at most. */
export const MOST_ITEMS = 500;

/** How many items are wanted. */
export function limitIn(query: URLSearchParams): number {
  const limit = Number(query.get("limit") ?? 100);
  if (Number.isInteger(limit) && limit > 0) return Math.min(limit, MOST_ITEMS);
  throw unreadable("limit", `a number from 1 to ${MOST_ITEMS}`);
}

/** What is given under a name, where it is one of these words. @throws {ApiError} */
export function oneOf<const Word extends string>(
  words: readonly Word[],
  name: string,
  given: unknown,
): Word {
  const found = words.find((word) => word === given);
  if (found !== undefined) return found;
  throw unreadable(name, `one of ${words.join(", ")}`);
}

/** The name of the time that is asked about. @throws {ApiError} */
export function rangeIn(query: URLSearchParams, standard: string): string {
  return oneOf(Object.keys(RANGES), "range", query.get("range") ?? standard);
}

/** The object of the body. @throws {ApiError} @throws {Refusal} for a body that is none */
export async function bodyOf({ request, context }: Asked): Promise<JsonObject> {
  const text = await new Promise<string>((take, fail) =>
    readBody(request, context, { take, fail })
  );
  const body = parsedObject(text);
  if (body === undefined) throw new ApiError(400, "invalid_body", "Expected a JSON object");
  return body;
}
