import { editJson, rawAt, rawElements } from "../lib/json-edit.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { ErrorCode, errorText, RpcError } from "./errors.ts";

/** A JSON-RPC id or progress token as parsed; its exact text is {@link idTextOf}. */
export type RequestId = string | number;

/**
 * One JSON-RPC message: its text as it came, and the envelope parsed from it. Text is what gets
 * forwarded; the parsed side is only for looking.
 */
export type Message = RequestMessage | NotificationMessage | ResponseMessage;

/** A request, in either direction. */
export interface RequestMessage {
  readonly kind: "request";
  readonly raw: string;
  readonly id: RequestId;
  readonly method: string;
  readonly params: JsonObject | undefined;
}

/** A notification, in either direction. */
export interface NotificationMessage {
  readonly kind: "notification";
  readonly raw: string;
  readonly method: string;
  readonly params: JsonObject | undefined;
}

/** A response: exactly one of `result` and `error` is defined. */
export interface ResponseMessage {
  readonly kind: "response";
  readonly raw: string;
  /** Null only in an error for a request whose id could not be read. */
  readonly id: RequestId | null;
  readonly result: JsonObject | undefined;
  readonly error: JsonObject | undefined;
}

/** A message that is none: what to answer, and with which id (as text, `null` when unknown). */
export class InvalidMessage extends RpcError {
  constructor(code: number, message: string, readonly idText: string) {
    super(code, message);
  }
}

/**
 * Reads one message.
 * @throws {InvalidMessage} -32700 for what is no JSON, -32600 for JSON that is no message
 */
export function parseMessage(raw: string): Message {
  return readMessage(raw, parseJson(raw));
}

/**
 * Reads a message or a batch (2025-03-26 only; the caller decides whether one is welcome).
 * A broken element of a batch stays in its place as the error to answer with.
 * @throws {InvalidMessage} as {@link parseMessage}, and -32600 for an empty batch
 */
export function parseMessages(
  raw: string,
): { readonly batch: boolean; readonly messages: readonly (Message | InvalidMessage)[] } {
  const value = parseJson(raw);
  if (!Array.isArray(value)) return { batch: false, messages: [readMessage(raw, value)] };
  if (value.length === 0) {
    throw new InvalidMessage(ErrorCode.InvalidRequest, "Invalid request: empty batch", "null");
  }
  const texts = rawElements(raw)!;
  const messages = value.map((element, index) => {
    try {
      return readMessage(texts[index]!, element);
    } catch (error) {
      if (error instanceof InvalidMessage) return error;
      throw error;
    }
  });
  return { batch: true, messages };
}

function parseJson(raw: string): Json {
  try {
    return JSON.parse(raw) as Json;
  } catch {
    throw new InvalidMessage(ErrorCode.ParseError, "Parse error: the body is not JSON", "null");
  }
}

/** What no request and no notification says anything by that is null, and others make an error of. */
const OPTIONAL = ["_meta", "arguments", "total", "message", "logger", "reason"] as const;

function readMessage(raw: string, value: Json): Message {
  if (!isObject(value)) throw invalid(raw, undefined, "expected an object");
  const { jsonrpc, id, method, params } = value;
  if (jsonrpc !== "2.0") throw invalid(raw, id, 'expected "jsonrpc": "2.0"');
  if (params === null) return without(raw, "params");
  if (method === null) return without(raw, "method");
  if (method !== undefined) {
    if (typeof method !== "string") throw invalid(raw, id, '"method" must be a string');
    if (params !== undefined && !isObject(params)) {
      throw invalid(raw, id, '"params" must be an object');
    }
    if (params !== undefined) {
      for (const key of OPTIONAL) if (params[key] === null) return without(raw, "params", key);
      if (isObject(params._meta) && params._meta.progressToken === null) {
        return without(raw, "params", "_meta", "progressToken");
      }
    }
    if (id === undefined) return { kind: "notification", raw, method, params };
    if (typeof id !== "string" && typeof id !== "number") {
      throw invalid(raw, undefined, '"id" must be a string or a number');
    }
    return { kind: "request", raw, id, method, params };
  }
  const { result, error } = value;
  if (id !== null && typeof id !== "string" && typeof id !== "number") {
    throw invalid(raw, undefined, 'expected "method", or "id" with "result" or "error"');
  }
  if (error === null) return without(raw, "error");
  if (result === null) return without(raw, "result");
  if (isObject(result) && error === undefined) {
    return { kind: "response", raw, id, result, error: undefined };
  }
  if (isObject(error) && result === undefined) {
    return { kind: "response", raw, id, result: undefined, error };
  }
  throw invalid(raw, id ?? undefined, 'expected an object in exactly one of "result", "error"');
}

/** What is null is not there: JSON-RPC 1.0 and half-filled structs write it, and others refuse it. */
function without(raw: string, ...path: string[]): Message {
  return parseMessage(editJson(raw, [{ path, value: undefined }]));
}

function invalid(raw: string, id: Json | undefined, why: string): InvalidMessage {
  const idText = idKey(id) === "" ? undefined : rawAt(raw, ["id"]);
  return new InvalidMessage(ErrorCode.InvalidRequest, `Invalid request: ${why}`, idText ?? "null");
}

/** The id as the peer wrote it; a number beyond 2^53 must come back digit for digit. */
export function idTextOf(message: RequestMessage): string {
  const { id } = message;
  if (typeof id === "string") return JSON.stringify(id);
  return Number.isSafeInteger(id) ? String(id) : rawAt(message.raw, ["id"])!;
}

/** The response to another request that is to be answered alike. */
export function withId(response: ResponseMessage, request: RequestMessage): ResponseMessage {
  const raw = editJson(response.raw, [{ path: ["id"], value: idTextOf(request) }]);
  return { ...response, id: request.id, raw };
}

/** A key under which an id or token is found again: 1 and "1" are different; `""` for what is none. */
export function idKey(id: Json | undefined): string {
  if (typeof id === "number") return `n${id}`;
  return typeof id === "string" ? `s${id}` : "";
}

/** The text of a successful response. `idText` and `resultText` are JSON. */
export function resultResponse(idText: string, resultText: string): string {
  return `{"jsonrpc":"2.0","id":${idText},"result":${resultText}}`;
}

/** The text of an error response. `idText` is JSON. */
export function errorResponse(idText: string, error: RpcError): string {
  return `{"jsonrpc":"2.0","id":${idText},"error":${errorText(error)}}`;
}

/** The text of a notification. `paramsText` is JSON. */
export function notification(method: string, paramsText?: string): string {
  const params = paramsText === undefined ? "" : `,"params":${paramsText}`;
  return `{"jsonrpc":"2.0","method":${JSON.stringify(method)}${params}}`;
}

/** The text of a request. `idText` and `paramsText` are JSON. */
export function request(idText: string, method: string, paramsText?: string): string {
  const params = paramsText === undefined ? "" : `,"params":${paramsText}`;
  return `{"jsonrpc":"2.0","id":${idText},"method":${JSON.stringify(method)}${params}}`;
}

/** The `_meta` of a request's params, `{}` where there is none. */
export function metaOf(params: JsonObject | undefined): JsonObject {
  return isObject(params?._meta) ? params._meta : {};
}
