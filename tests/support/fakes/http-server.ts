import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { bodyOf } from "../body.ts";
import { Inbox } from "../inbox.ts";
import { FakeCore } from "./core.mjs";
import type { FakeSpec } from "./spec.ts";
import { Sink } from "./sink.ts";

/** How a fake HTTP upstream is reached and how it answers. */
export interface HttpFakeOptions {
  /** Streamable HTTP at `/mcp`, or HTTP+SSE at `/sse` (2024-11-05); default `http`. */
  readonly transport?: "http" | "sse";
  /** How single responses are sent: as JSON unless something comes first, or always as a stream. */
  readonly answer?: "json" | "sse";
  /** Gives out and demands session ids (legacy); default true. */
  readonly sessions?: boolean;
}

/** What to do to a POST instead of answering it. */
export type HttpFault =
  /** Answers with this status and body. */
  | { readonly status: number; readonly body?: string; readonly contentType?: string }
  /** Cuts the connection before the head, or inside a stream after an event that is no message. */
  | { readonly cut: "before" | "inside" }
  /** Answers as usual once this settles. */
  | { readonly after: Promise<void> };

/** A request as it arrived. */
export interface Arrived {
  readonly httpMethod: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** JSON-RPC method, where the body has one. */
  readonly method: string | undefined;
}

/** A running fake. */
export interface HttpFake {
  readonly core: FakeCore;
  readonly port: number;
  /** Its endpoint for the transport it was told to speak. */
  readonly url: string;
  readonly requests: Inbox<Arrived>;
  /** Live session ids. */
  readonly sessions: ReadonlySet<string>;
  /** Decides per POST whether and how it fails; undefined means it does not. */
  fault: ((method: string | undefined, arrived: Arrived) => HttpFault | undefined) | undefined;
  /** Forgets every session: the next request with one gets 404. */
  expireSessions(): void;
  /** Cuts every open stream without a word. */
  dropStreams(): void;
  /** Stops listening and cuts what is open. Safe to call twice. */
  close(): Promise<void>;
}

/** Starts a fake upstream on a loopback port (`port` pins one, to come back at the same address). */
export async function startHttpFake(
  spec: FakeSpec,
  { transport = "http", answer = "json", sessions = true }: HttpFakeOptions = {},
  port = 0,
): Promise<HttpFake> {
  const app = new FakeApp(spec, { transport, answer, sessions });
  const server = createServer((request, response) => {
    app.handle(request, response).catch((error) => {
      response.destroy();
      app.requests.end(`the fake failed: ${error}`);
    });
  });
  // A call over a connection that is closed for being idle at that very moment would be lost.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  let closing: Promise<void> | undefined;
  return {
    core: app.core,
    port: bound,
    url: `http://127.0.0.1:${bound}${transport === "sse" ? "/sse" : "/mcp"}`,
    requests: app.requests,
    sessions: app.sessions,
    get fault() {
      return app.fault;
    },
    set fault(fault) {
      app.fault = fault;
    },
    expireSessions: () => app.sessions.clear(),
    dropStreams: () => app.dropStreams(),
    close: () =>
      closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        app.dropStreams();
        server.closeAllConnections();
      }),
  };
}

/**
 * Waits until a gateway hears what a legacy fake announces: its stream is opened after the
 * handshake. `from` counts the requests of gateways before this one.
 */
export async function heard(fake: HttpFake, from = 0): Promise<void> {
  await fake.requests.waitFor(({ httpMethod }) => httpMethod === "GET", { from });
}

class FakeApp {
  readonly core: FakeCore;
  readonly requests = new Inbox<Arrived>("requests to the fake");
  readonly sessions = new Set<string>();
  fault: HttpFake["fault"];
  /** Open streams outside any request: GET streams, or `/sse` streams by session. */
  readonly #standing = new Map<Sink, string>();
  readonly #open = new Set<ServerResponse>();
  #nextSession = 1;

  constructor(readonly spec: FakeSpec, readonly options: Required<HttpFakeOptions>) {
    const exit = () => this.dropStreams();
    const stderr = (text: string) => void process.stderr.write(text);
    this.core = new FakeCore(spec, { exit, stderr, grandchild: () => 0 }, (raw) => {
      for (const sink of this.#standing.keys()) sink.send(raw);
    });
  }

  dropStreams(): void {
    for (const response of this.#open) response.destroy();
    this.#open.clear();
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#open.add(response);
    response.once("close", () => this.#open.delete(response));
    const body = await bodyOf(request);
    if (body === undefined) return;
    const url = new URL(request.url ?? "/", "http://fake");
    const arrived: Arrived = {
      httpMethod: request.method ?? "",
      path: url.pathname,
      headers: request.headers,
      body,
      method: methodOf(body),
    };
    this.requests.push(arrived);
    const fault = request.method === "POST" ? this.fault?.(arrived.method, arrived) : undefined;
    if (fault !== undefined && "after" in fault) await fault.after;
    else if (fault !== undefined) return fail(response, fault);

    if (this.options.transport === "sse") return this.#sse(url, arrived, response);
    if (url.pathname !== "/mcp") return reply(response, 404, "not found");
    if (this.spec.era !== undefined && this.spec.era !== "legacy" && isModern(body)) {
      return this.#modern(arrived, response);
    }
    if (this.spec.era === "modern") {
      if (arrived.httpMethod !== "POST") return reply(response, 405, "");
      return this.#answer(body, new Sink(response, "json", () => 400));
    }
    this.#legacy(arrived, response);
  }

  #legacy({ httpMethod, headers, body, method }: Arrived, response: ServerResponse): void {
    const session = headers["mcp-session-id"] as string | undefined;
    if (this.options.sessions && method !== "initialize") {
      if (session === undefined) return refuse(response, 400, "Session id missing");
      if (!this.sessions.has(session)) return refuse(response, 404, "Session not found");
    }
    if (httpMethod === "DELETE") {
      this.sessions.delete(session ?? "");
      return reply(response, 200, "");
    }
    if (httpMethod === "GET") {
      const sink = new Sink(response, "sse");
      this.#standing.set(sink, session ?? "");
      response.once("close", () => this.#standing.delete(sink));
      return sink.open();
    }
    if (httpMethod !== "POST") return reply(response, 405, "");
    if (method === "initialize" && this.options.sessions) {
      const id = `fake-session-${this.#nextSession++}`;
      this.sessions.add(id);
      response.setHeader("mcp-session-id", id);
    }
    this.#answer(body, new Sink(response, this.options.answer));
  }

  #modern({ body, headers, method }: Arrived, response: ServerResponse): void {
    const { id, params } = JSON.parse(body);
    const name = method === "resources/read" ? params.uri : params.name;
    const wrong = headers["mcp-protocol-version"] !== "2026-07-28" ||
      headers["mcp-method"] !== method ||
      (/^(tools\/call|prompts\/get|resources\/read)$/.test(method ?? "") &&
        decodeHeader(headers["mcp-name"] as string | undefined) !== name);
    if (wrong) return refuse(response, 400, "Header mismatch", -32020, id);
    const sink = new Sink(response, this.options.answer, (code) => code === -32601 ? 404 : 200);
    // Closing the response stream is how a modern client cancels over HTTP.
    response.once("close", () => {
      if (!sink.ended && id !== undefined) this.core.cancel(JSON.stringify(id));
    });
    this.#answer(body, sink);
  }

  #sse(url: URL, { httpMethod, body }: Arrived, response: ServerResponse): void {
    if (httpMethod === "GET" && url.pathname === "/sse") {
      const id = `fake-session-${this.#nextSession++}`;
      this.sessions.add(id);
      const sink = new Sink(response, "sse");
      this.#standing.set(sink, id);
      response.once("close", () => this.#standing.delete(sink));
      sink.open();
      return sink.event("endpoint", `/messages?sessionId=${id}`);
    }
    if (httpMethod !== "POST") return reply(response, 404, "not found");
    if (url.pathname !== "/messages") return reply(response, 405, "method not allowed");
    const id = url.searchParams.get("sessionId") ?? "";
    const sink = [...this.#standing].find(([, session]) => session === id)?.[0];
    if (sink === undefined || !this.sessions.has(id)) return reply(response, 404, "no session");
    reply(response, 202, "Accepted");
    this.core.handle(body, {
      send: (...raws) => sink.send(...raws),
      sendPart: (part) => sink.part(part),
      end: () => {},
    });
  }

  #answer(body: string, sink: Sink): void {
    this.core.handle(body, {
      send: (...raws) => sink.send(...raws),
      sendPart: (part) => sink.part(part),
      end: () => sink.end(),
    });
  }
}

function methodOf(body: string): string | undefined {
  try {
    return JSON.parse(body)?.method;
  } catch {
    return undefined;
  }
}

function isModern(body: string): boolean {
  try {
    const meta = JSON.parse(body)?.params?._meta ?? {};
    return meta["io.modelcontextprotocol/protocolVersion"] !== undefined;
  } catch {
    return false;
  }
}

/** Non-ASCII header values travel as `=?base64?…?=` (2026-07-28, transports). */
function decodeHeader(value: string | undefined): string | undefined {
  const encoded = /^=\?base64\?(.*)\?=$/.exec(value ?? "")?.[1];
  return encoded === undefined ? value : Buffer.from(encoded, "base64").toString("utf8");
}

function reply(response: ServerResponse, status: number, body: string, type = "text/plain"): void {
  response.writeHead(status, body === "" ? {} : { "content-type": type });
  response.end(body);
}

function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  code = -32000,
  id: unknown = null,
): void {
  const body = JSON.stringify({ jsonrpc: "2.0", id, error: { code, message } });
  reply(response, status, body, "application/json");
}

function fail(
  response: ServerResponse,
  fault: Exclude<HttpFault, { readonly after: Promise<void> }>,
): void {
  if ("status" in fault) {
    return reply(response, fault.status, fault.body ?? "", fault.contentType ?? "text/plain");
  }
  if (fault.cut === "before") return void response.destroy();
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(": about to break\n\n", () => response.destroy());
}
