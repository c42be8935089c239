import { type Context, Hono } from "hono";
import { getPathNoStrict } from "hono/utils/url";
import { LastingSessions } from "../gateway/clients/lasting.ts";
import type { Gateway } from "../gateway/gateway.ts";
import {
  AGGREGATE,
  type Endpoint,
  profileEndpoint,
  serverEndpoint,
  UNGATED,
  withGating,
} from "../gating/endpoint.ts";
import { snippet } from "../lib/text.ts";
import { systemClock } from "../lib/time.ts";
import { TRAIL, TRAIL_HEADER } from "../lib/trail.ts";
import { getLogger } from "../log/mod.ts";
import { VERSION } from "../lib/version.ts";
import type { Observatory } from "../observe/observatory.ts";
import { InvalidMessage } from "../protocol/message.ts";
import { LOCAL, type Visitor } from "../protocol/exchange.ts";
import { peerOf } from "../runtime/listen.ts";
import type { HttpHandler, PeerSource } from "../runtime/types.ts";
import type { ApiAnswers } from "./api/api.ts";
import type { createDoor } from "./auth/door.ts";
import type { PageKeys } from "./auth/page-keys.ts";
import type { Entrance } from "./entrance.ts";
import { corsHeaders, createGuard, isForeignFetch, preflight } from "./guard.ts";
import type { HealthAnswer } from "./health.ts";
import type { LoginAnswers } from "./logins.ts";
import { CLIENT_DOCUMENT, type FrontContext, json, NO_STORE } from "./reply.ts";
import { changes, methodNotAllowed, notFound, Refusal, type Visit, wantsPage } from "./reply.ts";
import { del, get, post } from "./streamable.ts";
import { KeepAlive } from "./streams.ts";

/** What the HTTP front stands on. */
export interface AppOptions {
  readonly gateway: Gateway;
  /** The host the listener is bound to. */
  readonly boundHost: string;
  /** Where it is kept what makes sessions outlive the process; without, they do not. */
  readonly stateDirectory?: string | undefined;
  /** What opens the door to the gateway's own commands. */
  readonly localKey?: string | undefined;
  /** What is seen of calls; without, nothing is told of them. */
  readonly observatory?: Observatory | undefined;
  /** Another door than `createDoor()`. */
  readonly door?: typeof createDoor | undefined;
}

/** The HTTP front: the handler for the listener, and the timers to stop with it. */
export interface App {
  readonly handler: HttpHandler;
  readonly pending: KeepAlive;
  readonly keepAlive: KeepAlive;
  close(): void;
}

/** The endpoint that a name in a path stands for; `undefined`: there is none. */
type EndpointOf = (name: string) => Endpoint | undefined;

/** What answers which method of a path. */
type Answers = ReadonlyMap<string, Answer>;
type Answer = (request: Request, visit: Visit) => Response | Promise<Response>;

/** Of the URL of a request: a path in which something is to be resolved. */
const UNRESOLVED = /\\|\/(\.|%2e)/i;

/** A path with a name in it, and nothing in that which is to be resolved or decoded. */
const NAMED = /^(\/\w+\/)(\w[\w.-]*)(\/[\w/]+)$/;

/** Stands for what has no such name. */
const NOBODYS = serverEndpoint("");

/** What is about the servers there are, which no page is to know, not even one that may use them. */
const NO_PAGES = /^\/(?:metrics\/?$|api\/(?!(?:status|keys)\/?$))/;

/** What is only for who is on this machine or has a key of the gateway's own, where there is no `auth`. */
const WATCHED = /^\/api\/(?!(?:status|keys|tools|ui-key)\/?$|(?:logins|grants)\b)/;

/** What is seen of servers and calls, below `/api/`. */
const SEEN =
  "overview servers/:name servers/:name/restart tools/:name calls calls/:name usage advice problems problems/:name record alerts log config config/check events";

/** A credential of the gateway's own, where nobody has to show one. */
const OWN_KEY = /^bearer +mcproxy_/i;

/** Where something is changed, or asked whether it could be, by any method. */
const CHANGED = /^\/api\/(?:grants\/|ui-key\/?$)/;

/** Said to who wants a key for the page. */
const NO_PAGE = { error: "not_found", message: 'There is no dashboard: it is "off"' };

const log = getLogger("mcproxy", "front");

/** A visit by who is asked no credential; his address is known where an audit wants it. */
function from(address: string | undefined, endpoint: Endpoint): Visit {
  return address === undefined ? endpoint : { ...endpoint, address };
}

/** The path of the public address, without a slash at its end. */
function basePath(publicUrl: string | undefined): string {
  return publicUrl === undefined ? "" : new URL(publicUrl).pathname.replace(/\/+$/, "");
}

/** The request without the public path, which a proxy may have left in: both ways lead here. */
function below(base: string, request: Request): Request {
  const url = new URL(request.url);
  if (!url.pathname.startsWith(`${base}/`)) return request;
  url.pathname = url.pathname.slice(base.length);
  return new Request(url, request);
}

/** Puts all routes together. Every unknown path is 404 with a JSON body. */
export function createApp(
  { gateway, boundHost, stateDirectory, observatory, ...doorway }: AppOptions,
): App {
  let base = "";
  /** Where `auth` is configured; not there yet while it is loaded. */
  let entrance: Entrance | undefined;
  let opening: Promise<void> | undefined;
  const context: FrontContext = {
    gateway,
    get base() {
      return base;
    },
    lasting: new LastingSessions(gateway, stateDirectory),
    keepAlive: new KeepAlive(5_000),
    pending: new KeepAlive(500),
    get bodyLimit() {
      return gateway.config.settings.bodyLimit;
    },
    streams: new WeakMap(),
    sse: new Map(),
    holds: (visit) =>
      visit.admission === undefined ? settings.auth === undefined : entrance?.holds(visit) === true,
    gives: ({ admission }, path) => {
      // Without a door nobody is anybody but for who has the key of this machine.
      if (settings.auth === undefined) return (admission?.principal ?? LOCAL) === LOCAL;
      return admission !== undefined && entrance?.gives(admission, path) === true;
    },
    failed: (error, request) => {
      if (error instanceof Refusal) return refuse(error, request);
      if (error instanceof InvalidMessage) {
        return refuse(new Refusal(400, error.message, error.code, error.idText), request);
      }
      log.error("Request failed inside the gateway: {error}", { error });
      return json({ error: "internal error" }, 500);
    },
  };
  let { settings } = gateway.config;
  let guard = createGuard({ ...settings, boundHost });
  base = basePath(settings.publicUrl);
  // A slash at the end changes nothing.
  const app = new Hono({ strict: false });
  let known: readonly string[] | undefined;
  const paths = () =>
    known ??= [...new Set(app.routes.map(({ path }) => path.replace(":name", "<name>")))]
      .filter((path) => path !== "/messages");
  const isRoute = (path: string, method = "GET") =>
    app.router.match(method === "HEAD" ? "GET" : method, path)[0].length > 0;
  const profileOf = (name: string) =>
    gateway.snapshots.registry.profiles.has(name) ? profileEndpoint(name) : undefined;

  const visitorIn = ({ env }: Context): Visitor => env ?? {};
  const visitTo = (endpoint: Endpoint, c: Context): Visit | undefined => {
    const { admission, address } = visitorIn(c);
    return admission === undefined
      ? from(address, endpoint)
      : entrance!.visit(endpoint, { admission, address }, c.req.path);
  };
  /** The paths that take all the load, as they are mounted. */
  const direct = new Map<string, EndpointOf>();
  /** Finds them before Hono does, and faster, where they are spelled like that to the letter. */
  const endpointAt = (url: string): Endpoint | undefined => {
    const start = url.indexOf("/", 8);
    const end = url.indexOf("?", start);
    const path = url.slice(start, end < 0 ? undefined : end);
    const whole = direct.get(path);
    if (whole !== undefined) return whole("");
    const [, head, name = "", tail] = NAMED.exec(path) ?? [];
    return direct.get(`${head}:name${tail}`)?.(name);
  };
  const mount = (path: string, endpointOf: EndpointOf, answers: Answers) => {
    if (answers === streamable) direct.set(path, endpointOf);
    const allowed = [...answers.keys()].join(", ");
    // Not app.get: Hono would take a HEAD for a GET, and open a session for it. One handler for all
    // methods: with several for one path Hono composes them anew per request.
    app.all(path, (c) => {
      const endpoint = endpointOf(c.req.param("name") ?? "");
      // A name that nobody has is answered like one that is not for them: no names are tried out.
      const visit = visitTo(endpoint ?? NOBODYS, c);
      if (endpoint === undefined || visit === undefined) return notFound(c.req.path, paths());
      const answer = answers.get(c.req.method);
      return answer === undefined ? methodNotAllowed(allowed) : answer(c.req.raw, visit);
    });
  };
  const streamable: Answers = new Map<string, Answer>([
    ["GET", (request, visit) => get(request, visit, context)],
    ["POST", (request, visit) => post(request, visit, context)],
    ["DELETE", (request, visit) => del(request, visit, context)],
  ]);
  // Few clients come that way any more.
  const oldWay = () => import("./sse.ts");
  const sse: Answers = new Map([
    ["GET", async (request, visit) => (await oldWay()).openSse(request, visit, context)],
  ]);
  const gated = withGating(AGGREGATE, true);
  mount("/mcp", () => AGGREGATE, streamable);
  mount("/gated/mcp", () => gated, streamable);
  mount("/ungated/mcp", () => UNGATED, streamable);
  mount(
    "/servers/:name/mcp",
    (name) => gateway.members.upstream(name) === undefined ? undefined : serverEndpoint(name),
    streamable,
  );
  mount("/profiles/:name/mcp", profileOf, streamable);
  for (const gating of ["gated", "ungated"]) {
    mount(`/profiles/:name/${gating}/mcp`, (name) => {
      const endpoint = profileOf(name);
      return endpoint && withGating(endpoint, gating === "gated");
    }, streamable);
  }
  mount("/sse", () => AGGREGATE, sse);
  mount("/profiles/:name/sse", profileOf, sse);
  app.post(
    "/messages",
    async (c) => (await oldWay()).postSse(c.req.raw, visitorIn(c), context),
  );
  app.all("/messages", () => methodNotAllowed("POST"));

  const read = (path: string, answer: (c: Context) => Response | Promise<Response>) => {
    // Hono answers a HEAD by the handler of GET.
    app.get(path, answer).all(path, () => methodNotAllowed("GET, HEAD"));
  };
  // What is asked of a gateway that has started is loaded then.
  let health: Promise<ReadonlyMap<string, HealthAnswer>> | undefined;
  for (const path of ["/livez", "/readyz", "/health", "/api/status", "/api/tools"]) {
    read(path, async (c) => {
      health ??= import("./health.ts").then((module) => module.healthAnswers(gateway, observatory));
      return (await health).get(path)!(c);
    });
  }

  let metrics: Promise<(request: Request) => Promise<Response>> | undefined;
  read("/metrics", async (c) => {
    if (observatory === undefined || !settings.metrics) return notFound(c.req.path, paths());
    metrics ??= import("./metrics.ts").then((module) => module.metricsAnswer(observatory));
    return (await metrics)(c.req.raw);
  });

  read("/api/keys", () => json({ keys: entrance?.keys ?? [] }, 200, NO_STORE));
  const pageKeys: PageKeys = new Map();
  app.post("/api/ui-key", async (c) => {
    if (settings.dashboard.mode === "off") return json(NO_PAGE, 404);
    const { issuePageKey } = await import("./auth/page-keys.ts");
    // Who stands before it has let somebody in, with `auth` or without.
    return json(issuePageKey(pageKeys, visitorIn(c).admission!), 200, NO_STORE);
  });
  app.all("/api/ui-key", () => methodNotAllowed("POST"));
  let logins: Promise<LoginAnswers> | undefined;
  const loginAnswers = () =>
    logins ??= import("./logins.ts").then(({ LoginAnswers }) =>
      new LoginAnswers(context, () => entrance)
    );
  for (const path of ["/api/logins", "/api/logins/:name", "/api/grants/:name"]) {
    app.all(path, async (c) => {
      const { req } = c;
      return (await loginAnswers()).to(req.raw, req.path, req.param("name"), visitorIn(c));
    });
  }
  let answers: Promise<ApiAnswers> | undefined;
  for (const path of observatory === undefined ? [] : SEEN.split(" ")) {
    app.all(`/api/${path}`, async (c) => {
      answers ??= import("./api/api.ts").then((api) => new api.ApiAnswers(context, observatory!));
      return (await answers).to(c, path);
    });
  }
  read(
    CLIENT_DOCUMENT,
    async (c) => (await loginAnswers()).document() ?? notFound(c.req.path, paths()),
  );

  let page: Promise<typeof import("./dashboard/dashboard.ts")> | undefined;
  const pageFile = async (request: Request, name?: string) => {
    if (settings.dashboard.mode === "off") return undefined;
    page ??= import("./dashboard/dashboard.ts");
    return (await page).dashboardFile(request, name);
  };
  read(
    "/ui/:name",
    async (c) => await pageFile(c.req.raw, c.req.param("name")) ?? notFound(c.req.path, paths()),
  );
  read("/", async (c) => {
    const shell = wantsPage(c.req.raw) ? await pageFile(c.req.raw) : undefined;
    return shell ?? json({ name: "mcproxy", version: VERSION, paths: paths() });
  });
  app.notFound((c) => notFound(c.req.path, paths()));
  const refuse = (told: Refusal, request: Request): Response => {
    const client = snippet(request.headers.get("user-agent") ?? "");
    const [rid, method] = [undefined, `${request.method} ${getPathNoStrict(request)}`];
    gateway.events.emit({ kind: "failure", rid, client, method, told, cause: undefined });
    return told.toResponse();
  };
  app.onError((error, c) => context.failed(error, c.req.raw));

  /** The request that is meant: its path is resolved, and one of the gateway's own. */
  const resolved = (asked: Request): Request => {
    // Not every runtime does what clients should have done.
    const plain = UNRESOLVED.test(asked.url) ? new Request(new URL(asked.url), asked) : asked;
    // The gateway's own paths stay what they are, whatever the public one is called.
    return base === "" || isRoute(getPathNoStrict(plain)) ? plain : below(base, plain);
  };
  const entranceOf = ({ Entrance }: typeof import("./entrance.ts")) => {
    const parts = { settings, context, isRoute, inForce: () => entrance, answer: app.fetch };
    const onWrong = (address: string, why: string) =>
      gateway.events.emit({ kind: "authFailed", address, why });
    return new Entrance({ ...doorway, ...parts, pageKeys, onWrong });
  };
  /** Where nobody has to say who he is, what changes something takes the key of the listener. */
  let keeper: Promise<Entrance> | undefined;
  const open = async (): Promise<void> => {
    try {
      const module = await import("./entrance.ts");
      if (settings.auth !== undefined) entrance = entranceOf(module);
    } catch (error) {
      log.error("Nobody is let in: the door cannot be loaded; restart the gateway: {error}", {
        error,
      });
    }
    opening = undefined;
    entrance?.endLapsed();
  };
  const renew = () => {
    ({ settings } = gateway.config);
    guard = createGuard({ ...settings, boundHost });
    base = basePath(settings.publicUrl);
    const before = entrance;
    entrance = keeper = undefined;
    if (before !== undefined) {
      entrance = before.renewed(settings);
      // Who was somebody by `auth` is nobody without it, and nobody again under another one.
      if (entrance === undefined) pageKeys.clear();
      before.endLapsed(settings);
    } else if (settings.auth !== undefined) opening ??= open();
  };
  gateway.events.on("config", renew);
  if (settings.auth !== undefined) opening = open();
  const answer = (
    request: Request,
    called: Endpoint | undefined,
    asked: Request,
    peer: PeerSource | undefined,
  ) => {
    // Not by what is loaded: where it could not be, nobody is let in.
    if (settings.auth !== undefined) {
      return entrance?.handle(request, called, asked, peer) ??
        json({ error: "internal error" }, 500);
    }
    const path = called === undefined ? getPathNoStrict(request) : "";
    const isSeen = WATCHED.test(path);
    const hasKey = isSeen && OWN_KEY.test(request.headers.get("authorization") ?? "");
    if (hasKey || CHANGED.test(path) || (isSeen && changes(request))) {
      keeper ??= import("./entrance.ts").then(entranceOf);
      return keeper.then((entrance) => entrance.handle(request, called, asked, peer));
    }
    const address = isSeen || settings.audit ? peerOf(asked, peer) : undefined;
    if (called === undefined) return app.fetch(request, { address });
    return post(request, from(address, called), context);
  };
  const handle = (asked: Request, peer: PeerSource | undefined) => {
    const called = asked.method === "POST" ? endpointAt(asked.url) : undefined;
    const request = called === undefined ? resolved(asked) : asked;
    const { method, headers } = request;
    const origin = headers.get("origin");
    try {
      guard(headers.get("host"), origin);
      const trail = headers.get(TRAIL_HEADER);
      if (trail !== null && !TRAIL.admits(trail, systemClock.now())) {
        throw new Refusal(
          508,
          "it is this gateway itself, or has it among its servers: remove one",
        );
      }
    } catch (error) {
      if (error instanceof Refusal) return refuse(error, request);
      throw error;
    }
    if (origin === null) {
      if (method !== "GET" || !isForeignFetch(headers, getPathNoStrict(request))) {
        return answer(request, called, asked, peer);
      }
      return refuse(new Refusal(403, "Pages of other sites are not allowed here"), request);
    }
    // The path is the one that routes are found by: `/api/%74ools/` is one of them as well.
    if (NO_PAGES.test(getPathNoStrict(request))) return answer(request, called, asked, peer);
    if (method === "OPTIONS") {
      return preflight(origin, headers.get("access-control-request-headers"));
    }
    const told = Promise.resolve(answer(request, called, asked, peer));
    return told.then((response) => corsHeaders(response, origin));
  };

  return {
    handler: (asked, peer) =>
      opening === undefined
        ? handle(asked, peer)
        : opening.then(() => handle(asked, peer)).catch((error) => context.failed(error, asked)),
    pending: context.pending,
    keepAlive: context.keepAlive,
    close: () => {
      context.keepAlive.close();
      context.pending.close();
    },
  };
}
