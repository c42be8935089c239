import { Hono } from "hono";
import type { Gateway } from "../gateway/gateway.ts";
import {
  AGGREGATE,
  type Endpoint,
  profileEndpoint,
  serverEndpoint,
  UNGATED,
  withGating,
} from "../gating/endpoint.ts";
import { getLogger } from "../log/mod.ts";
import type { HttpHandler } from "../runtime/types.ts";
import { corsHeaders, createGuard, preflight } from "./guard.ts";
import { mountHealth, TOOLS_PATH } from "./health.ts";
import { json, methodNotAllowed, notFound, Refusal } from "./reply.ts";
import { openSse, postSse, type SseStreams } from "./sse.ts";
import { del, get, post } from "./streamable.ts";
import { type FrontContext, KeepAlive } from "./streams.ts";

/** What the HTTP front stands on. */
export interface AppOptions {
  readonly gateway: Gateway;
  /** The host the listener is bound to. */
  readonly boundHost: string;
}

/** The HTTP front: the handler for the listener, and the timer to stop with it. */
export interface App {
  readonly handler: HttpHandler;
  close(): void;
}

const log = getLogger("mcproxy", "front");

/** Puts all routes together. Every unknown path is 404 with a JSON body. */
export function createApp({ gateway, boundHost }: AppOptions): App {
  const keepAlive = new KeepAlive(5_000);
  const pending = new KeepAlive(500);
  const context: FrontContext = {
    gateway,
    keepAlive,
    pending,
    get bodyLimit() {
      return gateway.config.settings.bodyLimit;
    },
    streams: new WeakMap(),
  };
  let { settings } = gateway.config;
  let guard = createGuard({ ...settings, boundHost });
  const streams: SseStreams = new Map();
  const app = new Hono();
  const profileOf = (name: string) =>
    gateway.registry.profiles.has(name) ? profileEndpoint(name) : undefined;

  const gated = withGating(AGGREGATE, true);
  mountStreamable(app, "/mcp", () => AGGREGATE, context);
  mountStreamable(app, "/gated/mcp", () => gated, context);
  mountStreamable(app, "/ungated/mcp", () => UNGATED, context);
  mountStreamable(app, "/servers/:name/mcp", (name) => {
    return gateway.upstream(name!) === undefined ? undefined : serverEndpoint(name!);
  }, context);

  mountStreamable(app, "/profiles/:name/mcp", (name) => profileOf(name!), context);
  for (const gating of ["gated", "ungated"]) {
    mountStreamable(app, `/profiles/:name/${gating}/mcp`, (name) => {
      const endpoint = profileOf(name!);
      return endpoint && withGating(endpoint, gating === "gated");
    }, context);
  }
  mountSse(app, "/sse", () => AGGREGATE, streams, context);
  mountSse(app, "/profiles/:name/sse", (name) => profileOf(name!), streams, context);
  app.post("/messages", (c) => postSse(c.req.raw, streams, context));
  app.all("/messages", () => methodNotAllowed("POST"));

  mountHealth(app, gateway);

  app.notFound((c) => notFound(c.req.path));
  app.onError((error) => {
    if (error instanceof Refusal) return error.toResponse();
    log.error("Request failed inside the gateway: {error}", { error });
    return json({ error: "internal error" }, 500);
  });

  return {
    handler: (request) => {
      if (settings !== gateway.config.settings) {
        settings = gateway.config.settings;
        guard = createGuard({ ...settings, boundHost });
      }
      const origin = request.headers.get("origin");
      try {
        guard(request.headers.get("host"), origin);
      } catch (error) {
        if (error instanceof Refusal) return error.toResponse();
        throw error;
      }
      // No page is to read what servers there are, not even one that may use them.
      if (origin === null || new URL(request.url).pathname === TOOLS_PATH) {
        return app.fetch(request);
      }
      if (request.method === "OPTIONS") return preflight(origin);
      return Promise.resolve(app.fetch(request)).then((response) => corsHeaders(response, origin));
    },
    close: () => {
      keepAlive.close();
      pending.close();
    },
  };
}

/** The endpoint that a name in a path stands for; `undefined`: there is none. */
type EndpointOf = (name: string | undefined) => Endpoint | undefined;

function mountSse(
  app: Hono,
  path: string,
  endpointOf: EndpointOf,
  streams: SseStreams,
  context: FrontContext,
): void {
  // Not app.get: Hono would take a HEAD for a GET, and open a session for it.
  app.all(path, (c) => {
    const endpoint = endpointOf(c.req.param("name"));
    if (endpoint === undefined) return notFound(c.req.path);
    if (c.req.method !== "GET") return methodNotAllowed("GET");
    return openSse(c.req.raw, endpoint, streams, context);
  });
}

function mountStreamable(
  app: Hono,
  path: string,
  endpointOf: EndpointOf,
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
