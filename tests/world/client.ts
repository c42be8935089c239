/** A client that writes its requests by hand, byte for byte. */

import assert from "node:assert/strict";
import { serveStdio } from "../../src/front/stdio.ts";
import {
  AGGREGATE,
  type Endpoint,
  profileEndpoint,
  serverEndpoint,
} from "../../src/gating/endpoint.ts";
import { rawHttp, statusOf } from "../support/clients/raw.ts";
import type { Lab } from "./lab.ts";
import type { ClientRow, Json, Step } from "./rows.ts";

const HEADERS: Readonly<Record<string, string>> = {
  "Connection": "close",
  "Content-Type": "application/json",
  "Accept": "application/json, text/event-stream",
};

/** The version most clients speak. */
export const LEGACY = "2025-11-25";

/** A request that anybody answers. */
export function ping(id: unknown = 1): Json {
  return { jsonrpc: "2.0", id, method: "ping" };
}

/** The request for the tools. */
export function list(params?: Json): Json {
  return { jsonrpc: "2.0", id: 1, method: "tools/list", params };
}

/** A message that wants no answer. */
export function notification(method: string, params?: Json): Json {
  return { jsonrpc: "2.0", method, params };
}

/** `initialize` of a version, with other members in its params. */
export function initialize(protocolVersion: string, members: object = {}): Json {
  const clientInfo = { name: "odd", version: "1" };
  const params = { protocolVersion, capabilities: {}, clientInfo, ...members };
  return { jsonrpc: "2.0", id: "init", method: "initialize", params };
}

/** One view of the lab as a client knows it. */
export class OddClient {
  readonly port: number;
  #session: string | undefined;
  #version = "";

  constructor(
    readonly lab: Lab,
    /** Paths of the view. */
    readonly mcp: string,
    readonly sse: string | undefined,
    /** What the neighbour's `echo` is called here. */
    readonly tool: string,
    readonly endpoint: Endpoint,
  ) {
    this.port = Number(new URL(lab.server.url!).port);
  }

  get session(): string {
    return this.#session ?? "";
  }

  /** Does what the row says. */
  async play({ isOverSse, session, steps = [], stdin, stdout, run }: ClientRow): Promise<void> {
    if (isOverSse === true && this.sse === undefined) return;
    if (session !== undefined) await this.begin(session);
    for (const step of steps) await this.step(step);
    if (stdin !== undefined) assert.match(await this.pipe(stdin(this.tool)), stdout!);
    await run?.(this);
  }

  /** Begins a session. */
  async begin(version: string): Promise<void> {
    const answer = await this.step({ say: initialize(version), status: 200 });
    this.#session = /^mcp-session-id: *(\S+)/im.exec(answer)?.[1];
    this.#version = version;
    const initialized = { jsonrpc: "2.0", method: "notifications/initialized" };
    await this.step({ say: initialized, status: 202 });
  }

  /** Sends one request, and looks at the answer. */
  async step(step: Step): Promise<string> {
    const all = await rawHttp(this.port, step.bytes?.(this) ?? this.request(step));
    const answer = all.replace(/^HTTP\/1\.1 100 .*?\r\n\r\n/s, "");
    const { status, has = /^/, hasNot = /(?!)/ } = step;
    assert.equal(statusOf(answer), status, answer.slice(0, 2_000));
    assert.match(answer, has);
    assert.doesNotMatch(answer, hasNot);
    return answer;
  }

  /** The bytes of a request. */
  request({ say, method, path = "{mcp}", headers = {} }: Omit<Step, "status">): string {
    const said = typeof say === "function" ? say(this) : say;
    const body = said === undefined || typeof said === "string" ? said ?? "" : JSON.stringify(said);
    const all: Record<string, string | null> = {
      Host: `127.0.0.1:${this.port}`,
      ...HEADERS,
      ...(body === "" ? {} : { "Content-Length": String(new TextEncoder().encode(body).length) }),
      ...(this.#session === undefined ? {} : {
        "Mcp-Session-Id": this.#session,
        "Mcp-Protocol-Version": this.#version,
      }),
      ...(typeof headers === "function" ? headers(this) : headers),
    };
    const lines = Object.entries(all).flatMap(([name, value]) =>
      value === null ? [] : [`${name}: ${value}`]
    );
    const target = path.replace("{mcp}", this.mcp).replace("{sse}", this.sse ?? "/none");
    const verb = method ?? (body === "" ? "GET" : "POST");
    return `${verb} ${target} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${body}`;
  }

  /** A call of the neighbour's tool. */
  call(key: string, members: object = {}): Json {
    const params = { name: this.tool, arguments: { key } };
    return { jsonrpc: "2.0", id: 1, method: "tools/call", params, ...members };
  }

  /** Speaks over stdin, and returns what was written to stdout. */
  async pipe(chunks: readonly (string | Uint8Array)[]): Promise<string> {
    let written = "";
    async function* input() {
      for (const chunk of chunks) {
        yield typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
      }
    }
    const { gateway } = this.lab.server;
    const write = (line: string) => void (written += line);
    await serveStdio({ gateway, endpoint: this.endpoint, input: input(), write });
    return written;
  }
}

/** The neighbour's server through each view. */
export function clientsOf(lab: Lab): ReadonlyMap<string, () => OddClient> {
  return new Map([
    ["aggregate", () => new OddClient(lab, "/mcp", "/sse", "good_echo", AGGREGATE)],
    ["profile", () => {
      const path = "/profiles/all";
      return new OddClient(lab, `${path}/mcp`, `${path}/sse`, "good_echo", profileEndpoint("all"));
    }],
    ["1:1", () => {
      return new OddClient(lab, "/servers/good/mcp", undefined, "echo", serverEndpoint("good"));
    }],
  ]);
}
