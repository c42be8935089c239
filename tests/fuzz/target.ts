/** The gateway under fire: its HTTP handler without a socket, with one upstream of each era. */

import assert from "node:assert/strict";
import { runtime } from "#runtime";
import { parseConfig } from "../../src/config/load.ts";
import { createApp } from "../../src/front/app.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { ErrorCode } from "../../src/protocol/errors.ts";
import { startHttpFake } from "../support/fakes/http-server.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { within } from "../support/inbox.ts";
import { bytesOf, type HttpInput } from "./input.ts";

/** What a client may see. Nothing a client sends is our fault, so there is no 5xx. */
const STATUSES = new Set([200, 202, 204, 400, 403, 404, 405, 406, 413, 415]);

/** What tells of an upstream that is away or misbehaves; no client may bring that about. */
const UPSTREAM_LOST: ReadonlySet<number> = new Set([
  ErrorCode.InternalError,
  ErrorCode.UpstreamUnavailable,
  ErrorCode.UpstreamTimeout,
  ErrorCode.UpstreamProtocol,
]);

/** Small, so that a body beyond it is cheap. */
const BODY_LIMIT = 1024 * 1024;

const HOST = "127.0.0.1:12009";
const ORIGIN = `http://${HOST}`;

/** Tools that answer at once, whatever they are given. */
const TOOLS = ["echo", "odd", "raw", "fail", "rpc_error", "progress_chunk"];

/** See the top of the file. */
export class Target implements AsyncDisposable {
  readonly gateway: Gateway;
  readonly #handler: (request: Request) => Response | Promise<Response>;
  readonly #close: () => Promise<void>;
  #session = "";
  #sse = "";
  #sseStream: ReadableStreamDefaultReader<Uint8Array> | undefined;

  private constructor(gateway: Gateway, closeUpstreams: () => Promise<void>) {
    const app = createApp({ gateway, boundHost: "127.0.0.1" });
    this.gateway = gateway;
    this.#handler = (request) => app.handler(request);
    this.#close = async () => {
      await this.#sseStream?.cancel();
      await gateway.close();
      app.close();
      await closeUpstreams();
    };
  }

  /** Starts it and waits for its upstreams. */
  static async start(): Promise<Target> {
    const items = { prompts: ["greet"], resources: ["one", "shared://x"], templates: ["item"] };
    const modern = await startHttpFake({ name: "m", era: "modern", tools: TOOLS, ...items });
    const mcpServers = {
      local: fakeCommand({ name: "l", tools: TOOLS, ...items }),
      modern: { url: modern.url },
    };
    const config = parseConfig(JSON.stringify({ mcpServers, bodyLimit: BODY_LIMIT }), {
      file: "fuzz",
      env: {},
    });
    assert.ok(config.ok);
    const gateway = new Gateway({ config: config.config, runtime });
    gateway.start();
    await gateway.settled();
    return new Target(gateway, () => modern.close());
  }

  /** Sends one input and holds the response against everything that must be true of any. */
  async send(input: HttpInput): Promise<void> {
    await this.#ensureSessions();
    const fill = (text: string) =>
      text.replaceAll("$SESSION", this.#session).replaceAll("$SSE", this.#sse);
    const headers = new Headers();
    for (const [name, value] of Object.entries(input.headers)) headers.set(name, fill(value));
    if (!headers.has("host")) headers.set("host", HOST);
    const bytes = input.body === undefined ? undefined : bytesOf(input.body);
    const init: RequestInit = { method: input.method, headers };
    if (bytes !== undefined && !/^(GET|HEAD)$/.test(input.method)) init.body = bytes;
    const request = new Request(`http://${HOST}${fill(input.path)}`, init);
    const response = await within(Promise.resolve(this.#handler(request)), "a response");
    await check(response, request, bytes === undefined ? "" : new TextDecoder().decode(bytes));
  }

  /** The gateway still does its work. */
  async checkAlive(): Promise<void> {
    await this.#ensureSessions();
    const response = await this.#post(
      { "mcp-session-id": this.#session },
      '{"jsonrpc":"2.0","id":7,"method":"tools/list"}',
    );
    const { id, result } = await response.json();
    assert.equal(id, 7);
    assert.equal(result.tools.length, 2 * TOOLS.length);
    for (const name of ["local_echo", "modern_echo"]) {
      const params = { name, arguments: { still: "here" } };
      const call = { jsonrpc: "2.0", id: name, method: "tools/call", params };
      const answer = await this.#post({ "mcp-session-id": this.#session }, JSON.stringify(call));
      assert.match(await answer.text(), /still/);
    }
    assert.equal(this.gateway.inFlight, 0, "a request was never finished");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  /** An input may have ended the sessions it was given. */
  async #ensureSessions(): Promise<void> {
    const { sessions } = this.gateway;
    if (sessions.get(this.#session) === undefined) {
      const params = '{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{}}';
      const response = await this.#post(
        {},
        `{"jsonrpc":"2.0","id":0,"method":"initialize","params":${params}}`,
      );
      this.#session = response.headers.get("mcp-session-id")!;
      await response.body?.cancel();
    }
    if (sessions.get(this.#sse) === undefined) {
      await this.#sseStream?.cancel();
      const request = new Request(`${ORIGIN}/sse`, {
        headers: { host: HOST, accept: "text/event-stream" },
      });
      this.#sseStream = (await this.#handler(request)).body!.getReader();
      let text = "";
      while (!text.includes("sessionId=")) {
        text += new TextDecoder().decode((await this.#sseStream.read()).value);
      }
      this.#sse = /sessionId=(\S+)/.exec(text)![1]!;
    }
  }

  async #post(headers: Record<string, string>, body: string): Promise<Response> {
    const all = {
      host: HOST,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...headers,
    };
    return await this.#handler(
      new Request(`${ORIGIN}/mcp`, { method: "POST", headers: all, body }),
    );
  }
}

async function check(response: Response, request: Request, sent: string): Promise<void> {
  const { status } = response;
  assert.ok(STATUSES.has(status), `status ${status}`);
  const type = response.headers.get("content-type") ?? "";
  if (type === "text/event-stream") {
    // Whoever asks for the head only never reads the stream, so it would stay open for ever.
    assert.notEqual(request.method, "HEAD", "a stream was opened for a HEAD request");
    return await checkStream(response, request, sent);
  }
  const text = await response.text();
  if (status === 202 || status === 204) return assert.ok(text === "" || text === "Accepted", text);
  assert.equal(type, "application/json", `${status} ${text}`);
  if (request.method === "HEAD" && text === "") return;
  const body = JSON.parse(text);
  assert.ok(typeof body === "object" && body !== null, text);
  if (request.method === "POST" && /mcp$/.test(new URL(request.url).pathname)) {
    checkAnswer(body, status, sent);
  }
}

/** What a JSON body says fits to what was asked. */
// deno-lint-ignore no-explicit-any
function checkAnswer(body: any, status: number, sent: string): void {
  if (status === 404 && body.error === "not_found") return;
  const asked = parsed(sent);
  if (Array.isArray(body)) {
    assert.ok(Array.isArray(asked));
    for (const each of body) checkMessage(each);
    const ids = asked.map((each) => each?.id);
    for (const { id } of body) assert.ok(id === null || ids.includes(id), JSON.stringify(id));
    return;
  }
  checkMessage(body);
  if (body.id === null) assert.notEqual(status, 200, "an answer without id");
  // By value, not by Object.is(): a client that sent -0 finds its request under 0.
  else assert.ok(body.id === asked.id, `${JSON.stringify(body.id)} for ${asked.id}`);
}

// deno-lint-ignore no-explicit-any
function checkMessage(message: any): void {
  assert.equal(message.jsonrpc, "2.0");
  assert.equal(typeof message.error === "object", message.result === undefined);
  const { code, message: words } = message.error ?? {};
  assert.notEqual(words, "Internal error in the gateway; see its log");
  assert.ok(!UPSTREAM_LOST.has(code), `the upstreams are well, yet ${code} ${words}`);
  if (message.error !== undefined) assert.ok(Number.isInteger(code) && typeof words === "string");
}

/** An event stream holds messages, and ends unless it was asked to stay open. */
async function checkStream(response: Response, request: Request, sent: string): Promise<void> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  const asked = parsed(sent);
  const standing = request.method === "GET" || asked?.method === "subscriptions/listen";
  let text = "";
  for (;;) {
    const { done, value } = await within(reader.read(), "an event");
    if (done) break;
    text += decoder.decode(value, { stream: true });
    if (standing && text.endsWith("\n\n")) {
      await reader.cancel();
      break;
    }
  }
  for (const line of text.split("\n").filter((line) => line.startsWith("data: {"))) {
    const message = JSON.parse(line.slice("data: ".length));
    assert.equal(message.jsonrpc, "2.0");
    if (message.method === undefined) checkMessage(message);
  }
}

// deno-lint-ignore no-explicit-any
function parsed(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
