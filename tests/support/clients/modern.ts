import { type Client, type HttpAnswer, type RequestOptions, send } from "./http.ts";
import { isResponseTo, type Received, requestText } from "./message.ts";

/** The version this client speaks. */
export const MODERN_VERSION = "2026-07-28";

/** The envelope of every modern request (2026-07-28, basic/index). */
export function envelope(extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    "io.modelcontextprotocol/protocolVersion": MODERN_VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": { name: "raw-modern", version: "1" },
    ...extra,
  };
}

/** A stateless Streamable HTTP client of 2026-07-28. */
export class ModernClient implements Client {
  #nextId = 1;

  constructor(readonly url: string) {}

  /** The headers that go with a request (2026-07-28, transports); a null takes one away. */
  headers(
    method: string,
    params: unknown,
    extra: Record<string, string | null> = {},
  ): Record<string, string> {
    const named = params as { readonly name?: string; readonly uri?: string } | undefined;
    const name = method === "resources/read" ? named?.uri : named?.name;
    const all: Record<string, string | null | undefined> = {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": MODERN_VERSION,
      "mcp-method": method,
      "mcp-name": name,
      ...extra,
    };
    const set = Object.entries(all).filter((pair) => typeof pair[1] === "string");
    return Object.fromEntries(set) as Record<string, string>;
  }

  /** Sends a request with its envelope; `meta` joins it. */
  start(
    method: string,
    params: Record<string, unknown> = {},
    { id = this.#nextId++, headers = {}, meta = {} }: {
      readonly id?: string | number;
      readonly headers?: Record<string, string | null>;
      readonly meta?: Record<string, unknown>;
    } = {},
  ): Promise<HttpAnswer> {
    const body = requestText(id, method, {
      ...params,
      _meta: envelope({ ...params._meta as object, ...meta }),
    });
    return send(this.url, { method: "POST", body, headers: this.headers(method, params, headers) });
  }

  /** Sends a text as it is, with the headers that would go with `method` and `params`. */
  post(body: string, headers: Record<string, string>): Promise<HttpAnswer> {
    return send(this.url, { method: "POST", body, headers });
  }

  async request(
    method: string,
    params?: Record<string, unknown>,
    { id = this.#nextId++, within }: RequestOptions = {},
  ): Promise<Received> {
    const answer = await this.start(method, params, { id });
    return await answer.messages.waitFor(isResponseTo(id), within === undefined ? {} : { within });
  }
}
