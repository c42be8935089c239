import { rawAt } from "../../../src/lib/json-edit.ts";

/** A JSON-RPC message as a test sees it: its text, and what `JSON.parse` makes of it. */
export interface Received {
  readonly text: string;
  // deno-lint-ignore no-explicit-any
  readonly json: any;
}

/** Reads a text; text that is no JSON stays visible as `json: undefined`. */
export function received(text: string): Received {
  try {
    return { text, json: JSON.parse(text) };
  } catch {
    return { text, json: undefined };
  }
}

/** The text of a request. `params` may be JSON text, to send what no serialiser writes. */
export function requestText(id: string | number, method: string, params?: unknown): string {
  return withParams(
    `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":${JSON.stringify(method)}`,
    params,
  );
}

/** The text of a notification. `params` as in {@link requestText}. */
export function notificationText(method: string, params?: unknown): string {
  return withParams(`{"jsonrpc":"2.0","method":${JSON.stringify(method)}`, params);
}

function withParams(head: string, params: unknown): string {
  if (params === undefined) return `${head}}`;
  return `${head},"params":${typeof params === "string" ? params : JSON.stringify(params)}}`;
}

/** True for the response to this id. */
export function isResponseTo(id: string | number): (message: Received) => boolean {
  return ({ json }) => json?.id === id && json.method === undefined;
}

/** True for a notification of this method. */
export function isNotification(method: string): (message: Received) => boolean {
  return ({ json }) => json?.method === method && json.id === undefined;
}

/**
 * The result of a response as parsed and as text.
 * @throws {Error} when it is an error or no response
 */
// deno-lint-ignore no-explicit-any
export function resultOf(message: Received): { readonly json: any; readonly text: string } {
  const text = message.json === undefined ? undefined : rawAt(message.text, ["result"]);
  if (text === undefined) {
    throw new Error(`Cannot read a result: got ${message.text.slice(0, 2000)}`);
  }
  return { json: message.json.result, text };
}

/**
 * The error of a response.
 * @throws {Error} when it is a result or no response
 */
export function errorOf(
  message: Received,
): { readonly code: number; readonly message: string; readonly data?: unknown } {
  const error = message.json?.error;
  if (typeof error?.code !== "number" || typeof error.message !== "string") {
    throw new Error(`Cannot read an error: got ${message.text.slice(0, 2000)}`);
  }
  return error;
}

/** The text of the first text item of a tool result. */
export function textOf(message: Received): string {
  const text = resultOf(message).json.content?.[0]?.text;
  if (typeof text !== "string") {
    throw new Error(`Cannot read a text: got ${message.text.slice(0, 2000)}`);
  }
  return text;
}
