/** What stands before the paths where `auth` is configured; not loaded where it is not. */

import { getPathNoStrict } from "hono/utils/url";
import type { Settings } from "../config/types.ts";
import {
  type Access,
  accessOf,
  type Denial,
  endpointFor,
  pathDenial,
} from "../gateway/access/access.ts";
import { AGGREGATE, type Endpoint, profileEndpoint } from "../gating/endpoint.ts";
import type { Admission, Guest, Principal, Visitor } from "../protocol/exchange.ts";
import type { PeerSource } from "../runtime/types.ts";
import { createDoor, type Door, type DoorOptions } from "./auth/door.ts";
import { CLIENT_DOCUMENT, type FrontContext, json, LAPSED, methodNotAllowed } from "./reply.ts";
import { changes, NO_STORE, Refusal, type Visit, wantsPage } from "./reply.ts";
import { post } from "./streamable.ts";

/** What an {@link Entrance} is made from, and stands before. */
export interface EntranceParts extends DoorOptions {
  readonly settings: Settings;
  /** Another door than that of {@link createDoor}. */
  readonly door?: ((options: DoorOptions) => Door) | undefined;
  readonly context: FrontContext;
  /** Answers by the path, to a stranger where there is no visitor. Never rejects. */
  readonly answer: (request: Request, visitor?: Visitor) => Response | Promise<Response>;
  /** The one that stands there by now; undefined where none does. */
  readonly inForce: () => Entrance | undefined;
  /** Whether anything answers there. */
  readonly isRoute: (path: string, method: string) => boolean;
}

/** Of these everybody sees all. */
const PUBLIC: readonly string[] = ["/livez", CLIENT_DOCUMENT];
/** Of these a stranger sees no more than the status. */
const HEALTH: readonly string[] = ["/health", "/readyz"];
const METADATA = "/.well-known/oauth-protected-resource";
/**
 * Who is shown what there is decided by endpoint and session, or by whose login it is; all other
 * paths have to be given.
 */
const ELSEWHERE =
  /^\/(?:servers|profiles)\/|^\/api\/(?:logins|grants)\/|^\/(?:(?:un)?gated\/)?(?:mcp|sse|messages)?$/;

/** Lets in whom the door admits, to what `access` gives them. */
export class Entrance {
  readonly #access = new WeakMap<Principal, Access>();

  constructor(
    private readonly parts: EntranceParts,
    private readonly door = (parts.door ?? createDoor)(parts),
  ) {}

  /** The same door under another configuration; undefined where there is to be none. */
  renewed(settings: Settings): Entrance | undefined {
    if (settings.auth === undefined) return undefined;
    this.door.reload(settings);
    return new Entrance({ ...this.parts, settings }, this.door);
  }

  /** When which key was last used, since the start. */
  get keys() {
    return [...this.door.keys.passes].map(({ principal: { who }, usedAt }) => ({
      name: who.slice("key:".length),
      lastUse: usedAt === undefined ? null : new Date(usedAt).toISOString(),
    }));
  }

  /** Ends what may not go on under the settings in force, if they are others about that. */
  endLapsed({ auth, access, profiles }: Partial<Settings> = {}): void {
    const { context, settings } = this.parts;
    if (auth === settings.auth && access === settings.access && profiles === settings.profiles) {
      return;
    }
    for (const ticks of [context.pending, context.keepAlive]) ticks.tick(performance.now());
    for (const session of [...context.gateway.sessions]) {
      const visit = context.streams.get(session)?.visit ?? session.endpoint;
      if (session.kind !== "stdio" && !context.holds(visit)) session.close(LAPSED);
    }
    const isGuarded = this.parts.inForce() !== undefined;
    // The token of a call that waits may be old by now: who comes back for it shows another.
    context.gateway.endParked(({ admission, pipe }) =>
      pipe === undefined &&
      ((admission !== undefined) !== isGuarded || admission?.holds(0) === false), LAPSED);
  }

  /** Whether somebody may go on, there. */
  holds(visit: Visit): boolean {
    if (!visit.admission?.holds(Date.now())) return false;
    const shown = endpointFor(this.#accessOf(visit.admission), visit);
    return isEndpoint(shown) && shown.key === visit.key;
  }

  /** Whether somebody is given a path that is no endpoint. */
  gives(admission: Admission, path: string): boolean {
    return pathDenial(this.#accessOf(admission), path) === undefined;
  }

  /**
   * Answers a request, whose body nobody has read. `called` is the endpoint of a POST to one;
   * `asked` is what came in, of which alone the peer is known. Never throws nor rejects.
   */
  handle(
    request: Request,
    called: Endpoint | undefined,
    asked: Request,
    peer: PeerSource | undefined,
  ): Response | Promise<Response> {
    const path = getPathNoStrict(request);
    if (called === undefined) {
      const { method } = request;
      if (method === "OPTIONS") return methodNotAllowed("GET, HEAD, POST, DELETE");
      if (path.startsWith(METADATA)) return this.#metadata(request, path);
      // The page has no data: it asks for them, with a key.
      const isPage = this.parts.settings.dashboard.mode !== "off" &&
        (path.startsWith("/ui/") || (path === "/" && wantsPage(request)));
      if (!this.parts.isRoute(path, method) || PUBLIC.includes(path) || isPage) {
        return this.parts.answer(request);
      }
      if (HEALTH.includes(path)) {
        const isRead = method === "GET";
        return isRead ? this.#health(request, path, asked, peer) : this.parts.answer(request);
      }
    }
    const fail = (error: unknown) => this.parts.context.failed(error, request);
    try {
      const admitted = this.door.admit(asked, peer, path);
      const address = this.parts.settings.audit && this.door.addressOf(asked, peer);
      if (!(admitted instanceof Promise)) {
        return this.#enter({ admission: admitted, address }, request, called, path);
      }
      return admitted.then((admission) =>
        this.#inForce().#enter({ admission, address }, request, called, path)
      ).catch(fail);
    } catch (error) {
      return fail(error);
    }
  }

  /** What `access` says may have changed while a token was verified. */
  #inForce(): Entrance {
    const entrance = this.parts.inForce();
    if (entrance === undefined) throw renewing();
    return entrance;
  }

  #enter(guest: Guest, request: Request, called: Endpoint | undefined, path: string) {
    const { answer, context } = this.parts;
    const { admission, address } = guest;
    if (called !== undefined) {
      const shown = endpointFor(this.#accessOf(admission), called);
      // Whatever else is told where all other paths are.
      if (isEndpoint(shown)) return post(request, { ...shown, admission, address }, context);
    } else if (!ELSEWHERE.test(path)) this.require(guest, path, changes(request));
    else if (path === "/") this.visit(AGGREGATE, guest, path);
    return answer(request, guest);
  }

  /**
   * What somebody is shown at an endpoint; undefined: for them there is none.
   * @throws {Refusal} 403
   */
  visit(endpoint: Endpoint, guest: Guest, path: string): Visit | undefined {
    const shown = endpointFor(this.#accessOf(guest.admission), endpoint);
    if (isEndpoint(shown)) return { ...shown, ...guest };
    if (shown === "hidden") return void this.#denied(guest, path, 404);
    throw this.#refusal(guest, shown, path);
  }

  /**
   * Asks for what a path gives: to whom it is given, or, where something is changed, who may do
   * everything; or for `own`, a server that somebody uses by a login of his own.
   * @throws {Refusal} 403
   */
  require(guest: Guest, path: string, isChange: boolean, own?: string): void {
    const access = this.#accessOf(guest.admission);
    const denial = pathDenial(access, path, isChange);
    if (denial === undefined || (own !== undefined && this.#uses(access, own))) return;
    throw this.#refusal(guest, denial, path);
  }

  #uses({ profiles }: Access, server: string): boolean {
    const { members } = this.parts.context.gateway;
    return [...profiles].some((profile) =>
      members.behind(profileEndpoint(profile)).some(({ config }) => config.name === server)
    );
  }

  #denied({ admission: { principal }, address }: Guest, path: string, status: number): void {
    this.parts.context.gateway.events.emit({ kind: "denied", principal, address, path, status });
  }

  #refusal(guest: Guest, denial: Denial, path: string): Refusal {
    this.#denied(guest, path, 403);
    // Without an issuer there is nobody to get a scope from.
    if (typeof denial === "object" && this.parts.settings.auth?.issuers !== undefined) {
      return this.door.lacksScope(denial.scopes, path);
    }
    return new Refusal(
      403,
      `${path} is not open to ${JSON.stringify(guest.admission.principal.who)}; see "access"`,
    );
  }

  #accessOf({ principal }: Admission): Access {
    return this.#access.getOrInsertComputed(
      principal,
      () => accessOf(principal, this.parts.settings),
    );
  }

  #metadata(request: Request, path: string): Response | Promise<Response> {
    const { answer, context: { base }, isRoute } = this.parts;
    const rest = path.slice(METADATA.length);
    // Clients put what stands before a path in front of all of it.
    const of = rest === base || rest.startsWith(`${base}/`) ? rest.slice(base.length) : rest;
    const isThere = of === "" || (of.startsWith("/") && isRoute(of, "GET"));
    const isAsked = request.method === "GET" || request.method === "HEAD";
    return (isThere && isAsked ? this.door.metadata(of) : undefined) ?? answer(request);
  }

  /** Names of servers are for those who may see all of them. */
  async #health(
    request: Request,
    path: string,
    asked: Request,
    peer: PeerSource | undefined,
  ): Promise<Response> {
    const told = await this.parts.answer(request);
    try {
      const admission = await this.door.admit(asked, peer, path);
      if (pathDenial(this.#inForce().#accessOf(admission), path) === undefined) return told;
    } catch {
      // A stranger, as most monitors are.
    }
    const { status } = await told.json();
    return json({ status }, told.status, NO_STORE);
  }
}

/** For whoever comes while what counts for him changes. */
export function renewing(): Refusal {
  return new Refusal(503, "Another configuration is taken on; try again");
}

function isEndpoint(shown: Endpoint | Denial): shown is Endpoint {
  return typeof shown === "object" && "key" in shown;
}
