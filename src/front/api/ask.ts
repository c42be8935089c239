import type { Gateway } from "../../gateway/gateway.ts";
import { type JsonObject, parsedObject } from "../../lib/json.ts";
import { RANGES } from "../../observe/history/queries.ts";
import type { Observatory } from "../../observe/observatory.ts";
import type { Visitor } from "../../protocol/exchange.ts";
import { type FrontContext, NO_STORE, readBody } from "../reply.ts";

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
  ) {
    super(message);
  }
}

/** Items of one answer, at most. */
export const MOST_ITEMS = 500;

/** How many items are wanted. */
export function limitIn(query: URLSearchParams): number {
  const limit = Number(query.get("limit") ?? 100);
  if (Number.isInteger(limit) && limit > 0) return Math.min(limit, MOST_ITEMS);
  throw new ApiError(400, "invalid_limit", "Cannot read limit: expected a number from 1 to 500");
}

/** One of a few words; the first of them where nothing is said. @throws {ApiError} */
export function choiceIn<const Word extends string>(
  query: URLSearchParams,
  name: string,
  [first, ...others]: readonly [Word, ...Word[]],
): Word {
  const given = query.get(name) ?? first;
  const words = new Set([first, ...others]);
  if (words.has(given as Word)) return given as Word;
  // An empty one is what is not said.
  const expected = [...words].filter((word) => word !== "").join(", ");
  throw new ApiError(400, `invalid_${name}`, `Cannot read ${name}: expected one of ${expected}`);
}

/** The name of the time that is asked about. @throws {ApiError} */
export function rangeIn(query: URLSearchParams, standard: string): string {
  return choiceIn(query, "range", [standard, ...Object.keys(RANGES)]);
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
