import type { Server } from "./server.ts";

/** Longest wait for one answer, ms. */
const PATIENCE = 30_000;

const ACCEPT = "application/json, text/event-stream";

/** Opens sessions on a gateway, at the aggregate or another `path`, and returns their ids. */
export async function openSessions(
  server: Server,
  count: number,
  path?: string,
): Promise<string[]> {
  return await Promise.all(Array.from({ length: count }, () => openSession(server, path)));
}

const INITIALIZE = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "bench", version: "1" },
};

async function openSession(server: Server, path?: string): Promise<string> {
  const message = { jsonrpc: "2.0", id: "init", method: "initialize", params: INITIALIZE };
  const response = await post(server, undefined, message, path);
  const id = response.headers.get("mcp-session-id");
  await response.body?.cancel();
  if (id === null) throw new Error(`Cannot open a session: HTTP ${response.status}`);
  const initialized = { jsonrpc: "2.0", method: "notifications/initialized" };
  const ready = await post(server, id, initialized, path);
  await ready.body?.cancel();
  return id;
}

/** What a server with a key is shown. */
function authorization({ key }: Server): Readonly<Record<string, string>> {
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}

/** The same requests with a key. */
export function withKey(connections: readonly (readonly string[])[], key: string): string[][] {
  const header = `\r\nauthorization: Bearer ${key}`;
  return connections.map((requests) =>
    requests.map((text) => text.replace(/(?=\r\nmcp-session-id:)/, header))
  );
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
      ...authorization(server),
      ...(session === undefined ? {} : { "mcp-session-id": session }),
    },
    body: JSON.stringify(message),
    signal: AbortSignal.timeout(PATIENCE),
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
  return httpText(`POST ${path}`, session, JSON.stringify({ jsonrpc: "2.0", id, method, params }));
}

/**
 * The same requests for a handler that knows no sessions: with a short id. Deno closes a connection
 * after a request of more than 512 bytes whose body nobody has read.
 */
export function withShortIds(connections: readonly (readonly string[])[]): string[][] {
  return connections.map((requests) =>
    requests.map((text) => text.replace(/\r\nmcp-session-id: \S+/, "\r\nmcp-session-id: bench"))
  );
}

/** What a client sends to open a session and its stream, where the session's id is `SESSION`. */
export function clientSteps(): string[] {
  const method = "initialize";
  const initialize = JSON.stringify({ jsonrpc: "2.0", id: "init", method, params: INITIALIZE });
  const initialized = JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" });
  return [
    httpText("POST /mcp", undefined, initialize),
    httpText("POST /mcp", "SESSION", initialized),
    httpText("GET /mcp", "SESSION"),
  ];
}

function httpText(target: string, session: string | undefined, body?: string): string {
  return [
    `${target} HTTP/1.1`,
    "host: 127.0.0.1",
    "connection: keep-alive",
    "content-type: application/json",
    `accept: ${body === undefined ? "text/event-stream" : ACCEPT}`,
    ...(session === undefined
      ? []
      : [`mcp-session-id: ${session}`, "mcp-protocol-version: 2025-11-25"]),
    ...(body === undefined ? [] : [`content-length: ${body.length}`]),
    "",
    body ?? "",
  ].join("\r\n");
}

/** Waits until every upstream of a gateway has settled; all must be ready. */
export async function ready(server: Server): Promise<void> {
  for (let tries = 0; tries < 6_000; tries++) {
    const response = await fetch(`${server.base}/readyz`, {
      signal: AbortSignal.timeout(PATIENCE),
    });
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
  const response = await fetch(`${server.base}/api/status`, {
    headers: authorization(server),
    signal: AbortSignal.timeout(PATIENCE),
  });
  return (await response.json() as { servers: readonly ServerState[] }).servers;
}
