import type { Server } from "./server.ts";

const ACCEPT = "application/json, text/event-stream";

/** Opens sessions on a gateway, at the aggregate or another `path`, and returns their ids. */
export async function openSessions(
  server: Server,
  count: number,
  path?: string,
): Promise<string[]> {
  return await Promise.all(Array.from({ length: count }, () => openSession(server, path)));
}

async function openSession(server: Server, path?: string): Promise<string> {
  const response = await post(server, undefined, {
    jsonrpc: "2.0",
    id: "init",
    method: "initialize",
    params: {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "bench", version: "1" },
    },
  }, path);
  const id = response.headers.get("mcp-session-id");
  await response.body?.cancel();
  if (id === null) throw new Error(`Cannot open a session: HTTP ${response.status}`);
  const initialized = { jsonrpc: "2.0", method: "notifications/initialized" };
  const ready = await post(server, id, initialized, path);
  await ready.body?.cancel();
  return id;
}

/** Sends one message of a session. */
export function post(
  server: Server,
  session: string | undefined,
  message: unknown,
  path = "/mcp",
): Promise<Response> {
  return fetch(`${server.base}${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: ACCEPT,
      ...(session === undefined ? {} : { "mcp-session-id": session }),
    },
    body: JSON.stringify(message),
  });
}

/** The HTTP text of one request; baselines get the very same headers. */
export function requestText(
  session: string,
  method: string,
  params: unknown,
  id = 1,
  path = "/mcp",
): string {
  const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
  return [
    `POST ${path} HTTP/1.1`,
    "host: 127.0.0.1",
    "connection: keep-alive",
    "content-type: application/json",
    `accept: ${ACCEPT}`,
    `mcp-session-id: ${session}`,
    "mcp-protocol-version: 2025-11-25",
    `content-length: ${body.length}`,
    "",
    body,
  ].join("\r\n");
}

/** Waits until every upstream of a gateway has settled; all must be ready. */
export async function ready(server: Server): Promise<void> {
  for (let tries = 0; tries < 6_000; tries++) {
    const response = await fetch(`${server.base}/readyz`);
    await response.body?.cancel();
    if (response.status === 200) return await requireReady(server);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("Cannot measure: the upstreams are not ready after 30 s");
}

async function requireReady(server: Server): Promise<void> {
  for (const { name, state, lastError } of await servers(server)) {
    if (state !== "ready") {
      throw new Error(
        `Cannot measure: upstream "${name}" is ${state}: ${JSON.stringify(lastError)}`,
      );
    }
  }
}

/** One entry of `/api/status`, as far as the benchmark looks. */
export interface ServerState {
  readonly name: string;
  readonly state: string;
  readonly pid: number | null;
  readonly lastError?: unknown;
}

/** The upstreams of a gateway. */
export async function servers(server: Server): Promise<readonly ServerState[]> {
  const response = await fetch(`${server.base}/api/status`);
  return (await response.json() as { servers: readonly ServerState[] }).servers;
}
