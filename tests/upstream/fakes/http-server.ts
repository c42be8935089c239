/**
 * A small HTTP server over node:http, so that each test says in a few lines what its upstream
 * answers. Closing it cuts every connection.
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { bodyOf } from "../../support/body.ts";

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

export type Handler = (seen: Seen, response: ServerResponse) => void | Promise<void>;

export interface FakeHttp {
  readonly url: string;
  readonly seen: Seen[];
  close(): Promise<void>;
  /** Resolves when a request matching `test` has come in. */
  until(test: (seen: Seen) => boolean): Promise<Seen>;
}

export async function serveHttp(handler: Handler): Promise<FakeHttp> {
  const seen: Seen[] = [];
  let wake: (() => void)[] = [];
  const server = createServer(async (request, response) => {
    const text = await bodyOf(request);
    if (text === undefined) return;
    const one: Seen = {
      method: request.method ?? "",
      url: request.url ?? "",
      headers: request.headers,
      body: text === "" ? undefined : JSON.parse(text),
    };
    seen.push(one);
    for (const each of wake.splice(0)) each();
    await handler(one, response);
  });
  // As in the other fake: nothing is closed for being idle.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    close: () => {
      wake = [];
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
    until: async (test) => {
      for (;;) {
        const found = seen.find(test);
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => wake.push(resolve));
      }
    },
  };
}

export function json(response: ServerResponse, status: number, body: unknown, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

export function sse(response: ServerResponse, headers = {}) {
  response.writeHead(200, { "content-type": "text/event-stream", ...headers });
  response.flushHeaders();
  return (message: unknown, id?: string) => {
    const data = message === "" ? "data:\n\n" : `data: ${JSON.stringify(message)}\n\n`;
    response.write(id === undefined ? data : `id: ${id}\n${data}`);
  };
}

export function result(id: unknown, value: unknown) {
  return { jsonrpc: "2.0", id, result: value };
}

export function error(id: unknown, code: number, message: string, data?: unknown) {
  return { jsonrpc: "2.0", id, error: { code, message, data } };
}

export const INITIALIZED = {
  protocolVersion: "2025-11-25",
  capabilities: { tools: { listChanged: true } },
  serverInfo: { name: "http-fake", version: "1" },
};

export const DISCOVERED = {
  resultType: "complete",
  supportedVersions: ["2026-07-28"],
  capabilities: { tools: { listChanged: true } },
  ttlMs: 0,
  cacheScope: "public",
};

export const TOOLS = { tools: [{ name: "echo", inputSchema: { type: "object" } }] };

/**
 * A well-behaved legacy server with a session; `special` answers first and returns true for what
 * it has taken.
 */
export function legacy(special: (seen: Seen, response: ServerResponse) => boolean): Handler {
  return (seen, response) => {
    if (special(seen, response)) return;
    if (seen.method !== "POST") return void json(response, 405, { error: "no" });
    const { id, method } = seen.body;
    if (method === "initialize") {
      return void json(response, 200, result(id, INITIALIZED), { "mcp-session-id": "s-1" });
    }
    if (id === undefined) return void response.writeHead(202).end();
    if (method === "tools/list") return void json(response, 200, result(id, TOOLS));
    if (method === "tools/call") {
      return void json(response, 200, result(id, { content: [{ type: "text", text: "ok" }] }));
    }
    json(response, 400, error(null, -32600, "Bad Request: Server not initialized"));
  };
}
