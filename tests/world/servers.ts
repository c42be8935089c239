/** Plays the odd servers of the rows: stdio in memory, HTTP on loopback. */

import type { ServerResponse } from "node:http";
import { createServer, type Server as NetServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers";
import type { FakeProgram } from "../support/fake-child.ts";
import { type FakeHttp, type Handler, json, serveHttp } from "../upstream/fakes/http-server.ts";
import type { Json, OddHttp, OddStdio, Plain, ServerRow } from "./rows.ts";

/** Told of everything that a server is asked. */
export type Count = (row: string, method: string) => void;

/** What a server without a quirk answers. */
const RESULTS: Readonly<Record<string, Json>> = {
  "initialize": {
    protocolVersion: "2025-11-25",
    capabilities: { tools: { listChanged: true } },
    serverInfo: { name: "odd", version: "1" },
  },
  "tools/list": { tools: [{ name: "echo", inputSchema: { type: "object" } }] },
  "tools/call": { content: [{ type: "text", text: "ok" }] },
  "ping": {},
};

/** A copy of a usual result with other members. */
export function usual(method: string, members: object = {}): Json {
  return { ...RESULTS[method], ...members };
}

/** What is seen of most servers. */
export const LIKE_ANY = "it is a server like any other";

/** A page, where a message belongs. */
export const HTML = "<!doctype html><title>Welcome</title>";

/** Answers with a status and a body. */
export function text(status: number, body: string, type = "text/plain") {
  return (response: ServerResponse) =>
    void response.writeHead(status, { "content-type": type }).end(body);
}

/** Cuts the connection. */
export const cut = (response: ServerResponse) => void response.destroy();

function plainOf(results: Readonly<Record<string, Json>> = {}): Plain {
  return ({ id, method, params }) => {
    if (id === undefined || method === undefined) return undefined;
    const own = results[method] ?? RESULTS[method];
    const result = typeof own === "function" ? own(params) : own;
    return result === undefined
      ? JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32601, message: "Unknown method" } })
      : JSON.stringify({ jsonrpc: "2.0", id, result });
  };
}

/** A program in memory that is as odd as the row says. */
export function stdioProgram(row: string, odd: OddStdio, count: Count): FakeProgram {
  const plain = plainOf(odd.results);
  return (process) => {
    odd.start?.(process);
    process.onInput((lines) => {
      for (const line of lines.split("\n").filter((line) => line !== "")) {
        const message = JSON.parse(line);
        count(row, message.method ?? "an answer");
        if (odd.take?.(message, process, plain)) continue;
        const answer = plain(message);
        if (answer === undefined) continue;
        const written = odd.write?.(answer, message) ?? `${answer}\n`;
        // Each piece in a turn of its own, as pipes deliver them.
        const pieces = typeof written === "string" ? [written] : [...written];
        const next = () => {
          if (pieces.length === 0) return;
          process.stdout(pieces.shift()!);
          setImmediate(next);
        };
        next();
      }
    });
  };
}

/** All HTTP servers of a lab: one listener for those a library can play, one for the bytes of others. */
export class OddServers {
  private constructor(readonly http: FakeHttp, readonly raw: NetServer) {}

  static async start(rows: readonly ServerRow[], count: Count): Promise<OddServers> {
    const all = new Map(rows.flatMap(({ name, http }) => http ? [[name, http()] as const] : []));
    const handlers = new Map([...all].map(([name, odd]) => [name, handlerOf(odd)]));
    const http = await serveHttp((seen, response) => {
      const [, row = "", path] = /^\/([\w-]+)(.*)$/s.exec(seen.url) ?? [];
      count(row, seen.body?.method ?? (seen.body === undefined ? seen.method : "an answer"));
      const handler = handlers.get(row);
      // What takes a server's own path for the whole of it comes here.
      if (handler === undefined) return void response.writeHead(404).end();
      return handler({ ...seen, url: path! }, response);
    });
    const raw = createServer((socket) => speakRaw(socket, all, count));
    await new Promise<void>((resolve) => raw.listen(0, "127.0.0.1", resolve));
    return new OddServers(http, raw);
  }

  /** The entry of a row's server in the configuration. */
  entryOf({ name, config = {}, stdio, http }: ServerRow): Readonly<Record<string, unknown>> {
    if (stdio !== undefined) return { command: name, ...config };
    const { raw, path = "/mcp" } = http!();
    const { port } = this.raw.address() as AddressInfo;
    const origin = raw === undefined ? this.http.url : `http://127.0.0.1:${port}`;
    return { url: `${origin}/${name}${path}`, ...config };
  }

  async close(): Promise<void> {
    await this.http.close();
    const closed = new Promise<void>((resolve) => this.raw.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  }
}

function handlerOf({ results, take }: OddHttp): Handler {
  const plain = plainOf(results);
  return (seen, response) => {
    if (take?.(seen, response, plain)) return;
    if (seen.method !== "POST") return void response.writeHead(405).end();
    const answer = plain(seen.body);
    if (answer === undefined) return void response.writeHead(202).end();
    const isFirst = seen.body.method === "initialize";
    json(response, 200, JSON.parse(answer), isFirst ? { "mcp-session-id": "s-1" } : {});
  };
}

const sockets = new Set<Socket>();

/** HTTP/1.1 by hand, one request after the other on each connection. */
function speakRaw(socket: Socket, rows: ReadonlyMap<string, OddHttp>, count: Count): void {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
  socket.on("error", () => {});
  let read = "";
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    read += chunk;
    for (;;) {
      const end = read.indexOf("\r\n\r\n");
      if (end < 0) return;
      const head = read.slice(0, end);
      const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      if (read.length < end + 4 + length) return;
      const body = read.slice(end + 4, end + 4 + length);
      read = read.slice(end + 4 + length);
      answerRaw(socket, head, body, rows, count);
    }
  });
}

function answerRaw(
  socket: Socket,
  head: string,
  body: string,
  rows: ReadonlyMap<string, OddHttp>,
  count: Count,
): void {
  const [, method, row] = /^(\w+) \/([\w-]+)/.exec(head)!;
  const odd = rows.get(row!)!;
  if (method !== "POST") {
    return void socket.write("HTTP/1.1 405 Not Allowed\r\nContent-Length: 0\r\n\r\n");
  }
  const message = JSON.parse(body);
  count(row!, message.method);
  const pieces = [...odd.raw!(plainOf(odd.results)(message), message)];
  // Each piece in a packet of its own; one that is empty ends the connection.
  const next = () => {
    const piece = pieces.shift();
    if (piece === undefined) return;
    if (piece === "") return void socket.end();
    socket.write(piece, "utf8", () => setImmediate(next));
  };
  next();
}
