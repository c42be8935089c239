// @ts-check
/**
 * A client of MCP, revision 2026-07-28, over `fetch`: what the page tries tools with. It goes the way
 * of any client, and so is in the record, as `dashboard`.
 */

import { isObject, parse, parsed } from "./schema.js";
import { eventsOf, textsOf } from "./sse.js";

/** @typedef {{ at: number, message: any }} Event one notification, with the ms since the call began */
/** @typedef {{ method: string, params: any }} Question what a server asks while a call waits */
/** @typedef {(path: string, init: RequestInit) => Promise<Response>} Ask */
/**
 * @typedef {object} CallOptions
 * @property {any} [schema] the tool's input schema: some arguments are repeated in headers
 * @property {AbortSignal} [signal] cancels the call
 * @property {(event: Event) => void} [onEvent] progress and log lines, as they come
 * @property {(question: Question) => Promise<any>} [onQuestion] its answer; without it nothing can be asked
 */

const VERSION = "2026-07-28";
const META = "io.modelcontextprotocol/";
/** Characters of an answer. */
const LONGEST_ANSWER = 64 * 1024 * 1024;
/** How often a server may ask, within one call. */
const MOST_ROUNDS = 10;
const MOST_PAGES = 200;
const DEEPEST = 32;

/** An error that the other side answered with. */
export class McpError extends Error {
  /** @param {any} error */
  constructor(error) {
    super(String(error?.message ?? "No message"));
    /** @type {unknown} */
    this.code = error?.code;
    this.data = error?.data;
  }
}

/** A header value for any text: itself where it is safe there, else in base64. */
export function headerValue(/** @type {string} */ text) {
  const isSafe = /^([\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?)?$/.test(text);
  if (isSafe && !/^=\?base64\?.*\?=$/.test(text)) return text;
  const bytes = new TextEncoder().encode(text.toWellFormed());
  return `=?base64?${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}?=`;
}

/**
 * The arguments a tool wants in headers, too: those its schema marks with `x-mcp-header`.
 * @param {any} schema @param {any} args @returns {Record<string, string>}
 */
export function argumentHeaders(schema, args, depth = 0) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (!isObject(schema?.properties) || !isObject(args) || depth > DEEPEST) return headers;
  for (const [key, one] of Object.entries(schema.properties)) {
    const value = Object.hasOwn(args, key) ? args[key] : undefined;
    const name = one?.["x-mcp-header"];
    if (typeof name === "string" && /^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
      const isTold = ["string", "boolean"].includes(typeof value) || Number.isFinite(value);
      if (isTold) headers[`mcp-param-${name.toLowerCase()}`] = headerValue(String(value));
    }
    Object.assign(headers, argumentHeaders(one, value, depth + 1));
  }
  return headers;
}

/** The messages of a response, be it one or a stream of events. @param {Response} response */
async function* messagesOf(response) {
  if (/^text\/event-stream\b/.test(response.headers.get("content-type") ?? "")) {
    for await (const { data } of eventsOf(response.body, LONGEST_ANSWER)) yield data;
    return;
  }
  let whole = "";
  for await (const text of textsOf(response.body, LONGEST_ANSWER)) whole += text;
  if (whole !== "") yield whole;
}

/**
 * A request as it goes over the wire.
 * @param {string} method @param {string} params JSON text of its members, without braces
 * @param {{ id?: number, name?: string | undefined, headers?: object, answers?: object, told?: object | undefined }} [more]
 */
function requestOf(method, params, { id = 1, name, headers = {}, answers = {}, told } = {}) {
  const meta = JSON.stringify({
    [`${META}protocolVersion`]: VERSION,
    [`${META}clientInfo`]: { name: "dashboard", version: "1" },
    [`${META}clientCapabilities`]: answers,
    ...told,
  });
  const members = [`"_meta":${meta}`, ...params === "" ? [] : [params]].join();
  return {
    method: "POST",
    headers: {
      ...headers,
      "content-type": "application/json",
      "accept": "application/json, text/event-stream",
      "mcp-protocol-version": VERSION,
      "mcp-method": method,
      ...(name !== undefined && { "mcp-name": headerValue(name) }),
    },
    body: `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":{${members}}}`,
  };
}

/**
 * What a call says besides its method, with its arguments as they are written.
 * @param {string} name @param {string} argumentsText JSON @param {any} [schema] the tool's input schema
 */
const callOf = (name, argumentsText, schema) => ({
  params: `"name":${JSON.stringify(name)},"arguments":${argumentsText}`,
  more: { name, headers: argumentHeaders(schema, parse(argumentsText)) },
});

/** A word of a shell. */
const quoted = (/** @type {string} */ text) => `'${text.replaceAll("'", "'\\''")}'`;

/** A request for a terminal. @param {string} method @param {string} params its members, without braces @param {object} [more] */
export function curlOf(method, params, more) {
  const { headers, body } = requestOf(method, params, more);
  const heads = Object.entries(headers).map(([key, value]) => `-H ${quoted(`${key}: ${value}`)}`);
  const url = new URL("../mcp", import.meta.url).href;
  return ["curl -sN", quoted(url), ...heads, "-d", quoted(body)].join(" ");
}

/** The same call for a terminal. @type {(...call: Parameters<typeof callOf>) => string} */
export function curlOfCall(...call) {
  const { params, more } = callOf(...call);
  return curlOf("tools/call", params, more);
}

/** @param {string} name @param {string} argumentsText */
export const commandOf = (name, argumentsText) =>
  `mcproxy call ${quoted(name)} ${quoted(argumentsText)}`;

/** One connection, which is no more than a way to ask. */
export class McpClient {
  #count = 0;

  /** @param {Ask} ask @param {string} [path] of the endpoint */
  constructor(ask, path = "mcp") {
    this.ask = ask;
    this.path = path;
  }

  /**
   * Asks once. `params` is JSON text, so that what somebody wrote is sent as it is.
   * @param {string} method @param {string} params the members, without braces
   * @param {{ name?: string } & CallOptions & { headers?: Record<string, string> }} [options]
   * @returns {Promise<{ result: any, raw: string }>}
   */
  async request(method, params, { name, signal, onEvent, onQuestion, headers = {} } = {}) {
    const id = ++this.#count;
    const began = performance.now();
    const answers = onQuestion ? { elicitation: { form: {}, url: {} } } : {};
    const told = onEvent && { progressToken: id, [`${META}logLevel`]: "debug" };
    const given = requestOf(method, params, { id, name, headers, answers, told });
    const response = await this.ask(this.path, { ...given, ...(signal && { signal }) });
    for await (const raw of messagesOf(response)) {
      const message = readMessage(raw, response);
      if (message.error !== undefined) throw new McpError(message.error);
      if (message.id === id) return { result: message.result, raw };
      onEvent?.({ at: performance.now() - began, message });
    }
    throw new Error(`The answer broke off (${response.status})`);
  }

  /**
   * All items of a list, such as `tools`.
   * @param {string} kind @param {AbortSignal} [signal] @returns {Promise<any[]>}
   */
  async list(kind, signal) {
    const items = [];
    /** @type {unknown} */
    let cursor;
    for (let page = 0; page < MOST_PAGES && cursor !== null; page++) {
      const params = cursor === undefined ? "" : `"cursor":${JSON.stringify(cursor)}`;
      const { result } = await this.request(`${kind}/list`, params, signal && { signal });
      items.push(...(Array.isArray(result?.[kind]) ? result[kind] : []));
      cursor = result?.nextCursor ?? null;
    }
    return items;
  }

  /**
   * Calls a tool with the arguments as they are written, and answers what its server asks meanwhile.
   * @param {string} name @param {string} argumentsText JSON @param {CallOptions} [options]
   */
  async call(name, argumentsText, options = {}) {
    const { schema, onQuestion } = options;
    const call = callOf(name, argumentsText, schema);
    let answered = "";
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const params = call.params + answered;
      const answer = await this.request("tools/call", params, { ...options, ...call.more });
      const { result } = answer;
      if (result?.resultType !== "input_required" || !onQuestion) return answer;
      /** @type {Record<string, unknown>} */
      const responses = {};
      for (const [key, asked] of Object.entries(result.inputRequests ?? {})) {
        responses[key] = await onQuestion(/** @type {Question} */ (asked));
      }
      answered = `,"inputResponses":${JSON.stringify(responses)}`;
      const state = result.requestState;
      if (state !== undefined) answered += `,"requestState":${JSON.stringify(state)}`;
    }
    throw new Error(`The server asks more than ${MOST_ROUNDS} times`);
  }
}

/** One message, which may be none. @param {string} raw @param {Response} response */
function readMessage(raw, { ok, status }) {
  const message = parsed(raw);
  if (message === undefined) throw new Error(`The gateway answers ${status}: ${raw.slice(0, 200)}`);
  if (isObject(message) && (ok || isObject(message.error))) return message;
  throw new Error(String(message?.message ?? message?.error ?? `The gateway answers ${status}`));
}
