import { Hono } from "hono";
import { AGGREGATE, type Endpoint, serverEndpoint } from "../gateway/endpoint.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { gatewayStatus } from "../gateway/status.ts";
import { getLogger } from "../log/mod.ts";
import type { HttpHandler } from "../runtime/types.ts";
import type { FrontContext } from "./context.ts";
import { corsHeaders, preflight } from "./cors.ts";
import { createGuard, type GuardOptions } from "./guard.ts";
import { KeepAlive } from "./keep-alive.ts";
import { jsonResponse } from "./post-reply.ts";
import { Refusal } from "./refusal.ts";
import { openSse, postSse, type SseStreams } from "./sse.ts";
import { del, get, post } from "./streamable.ts";

/** What the HTTP front stands on. */
export interface AppOptions {
  readonly gateway: Gateway;
  readonly guard: GuardOptions;
  /** Largest request body, bytes. */
  readonly bodyLimit: number;
}

/** The HTTP front: the handler for the listener, and the timer to stop with it. */
export interface App {
  readonly handler: HttpHandler;
  close(): void;
}

const log = getLogger("mcproxy", "front");

/** Puts the routes of DESIGN §2 together. Every unknown path is 404 with a JSON body. */
export function createApp({ gateway, guard: guardOptions, bodyLimit }: AppOptions): App {
  const keepAlive = new KeepAlive(5_000);
  const pending = new KeepAlive(500);
  const context: FrontContext = {
    gateway,
    keepAlive,
    pending,
    bodyLimit,
    streams: new WeakMap(),
  };
  const guard = createGuard(guardOptions);
  const streams: SseStreams = new Map();
  const app = new Hono();

  mountStreamable(app, "/mcp", () => AGGREGATE, context);
  mountStreamable(app, "/servers/:name/mcp", (name) => {
    return gateway.upstream(name!) === undefined ? undefined : serverEndpoint(name!);
  }, context);

  // Not app.get: Hono would take a HEAD for a GET, and open a session for it.
  app.all(
    "/sse",
    ({ req: { raw } }) =>
      raw.method === "GET" ? openSse(raw, streams, context) : methodNotAllowed("GET"),
  );
  app.post("/messages", (c) => postSse(c.req.raw, streams, context));
  app.all("/messages", () => methodNotAllowed("POST"));

  app.get("/livez", () => json({ status: "ok" }));
  app.get("/readyz", () => readiness(gateway));
  app.get("/health", () => health(gateway));
  app.get("/api/status", () => json(gatewayStatus(gateway)));

  app.notFound((c) => notFound(c.req.path));
  app.onError((error) => {
    if (error instanceof Refusal) return error.toResponse();
    log.error("Request failed inside the gateway: {error}", { error });
    return json({ error: "internal error" }, 500);
  });

  return {
    handler: (request) => {
      const origin = request.headers.get("origin");
      try {
        guard(request.headers.get("host"), origin);
      } catch (error) {
        if (error instanceof Refusal) return error.toResponse();
        throw error;
      }
      if (origin === null) return app.fetch(request);
      if (request.method === "OPTIONS") return preflight(origin);
      return Promise.resolve(app.fetch(request)).then((response) => corsHeaders(response, origin));
    },
    close: () => {
      keepAlive.close();
      pending.close();
    },
  };
}

function mountStreamable(
  app: Hono,
  path: string,
  endpointOf: (name: string | undefined) => Endpoint | undefined,
  context: FrontContext,
): void {
  // One handler with a switch: with several for one path Hono composes them anew per request.
  app.all(path, (c) => {
    const request = c.req.raw;
    const endpoint = endpointOf(c.req.param("name"));
    if (endpoint === undefined) return notFound(c.req.path);
    switch (request.method) {
      case "POST":
        return post(request, endpoint, context);
      case "GET":
        return get(request, endpoint, context);
      case "DELETE":
        return del(request, endpoint, context);
      default:
        return methodNotAllowed("GET, POST, DELETE");
    }
  });
}

function readiness(gateway: Gateway): Response {
  // Whoever is told "ready" sees in the lists what is ready.
  gateway.flush();
  const waiting = gateway.members.filter((member) => !member.isSettled);
  if (waiting.length === 0) return json({ status: "ready" });
  return json({ status: "starting", waiting: waiting.map((member) => member.config.name) }, 503);
}

function health(gateway: Gateway): Response {
  const states = gateway.members.map((member) => member.upstream.state.phase);
  const ready = states.filter((phase) => phase === "ready").length;
  return json({
    status: ready === states.length ? "ok" : "degraded",
    servers: { ready, total: states.length },
  });
}

function json(value: unknown, status = 200): Response {
  return jsonResponse(JSON.stringify(value), status);
}

function notFound(path: string): Response {
  return json({ error: "not_found", message: `No such path: ${path}` }, 404);
}

function methodNotAllowed(allow: string): Response {
  const body = JSON.stringify({ error: "method_not_allowed", message: `Allowed: ${allow}` });
  return jsonResponse(body, 405, { allow });
}
