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
import { AGGREGATE, type Endpoint } from "../gating/endpoint.ts";
import type { Admission, Principal } from "../protocol/exchange.ts";
import type { PeerSource } from "../runtime/types.ts";
import { createDoor, type Door, type DoorOptions } from "./auth/door.ts";
import { type FrontContext, json, LAPSED, methodNotAllowed, Refusal, type Visit } from "./reply.ts";
import { post } from "./streamable.ts";

/** What an {@link Entrance} is made from, and stands before. */
export interface EntranceParts extends DoorOptions {
  readonly settings: Settings;
  /** Another door than that of {@link createDoor}. */
  readonly door?: ((options: DoorOptions) => Door) | undefined;
  readonly context: FrontContext;
  /** Answers by the path, to a stranger where there is no admission. Never rejects. */
  readonly answer: (request: Request, admission?: Admission) => Response | Promise<Response>;
  /** The one that stands there by now; undefined where none does. */
  readonly inForce: () => Entrance | undefined;
  /** Whether anything answers there. */
  readonly isRoute: (path: string, method: string) => boolean;
}

/** Of these a stranger sees no more than the status. */
const HEALTH: readonly string[] = ["/health", "/readyz"];
const METADATA = "/.well-known/oauth-protected-resource";
/** Who is shown what there is decided by endpoint and session; all other paths have to be given. */
const BY_ENDPOINT = /^\/(?:servers|profiles)\/|^\/(?:(?:un)?gated\/)?(?:mcp|sse|messages)?$/;

/** Lets in whom the door admits, to what `access` gives them. */
export class Entrance {
  readonly #access = new WeakMap<Principal, Access>();

  constructor(
    private readonly parts: EntranceParts,
    private readonly door = (parts.door ?? createDoor)({
      ...parts,
      onWrong: (address, why) => {
        parts.context.gateway.events.emit({ kind: "authFailed", address, why });
      },
    }),
  ) {}

  /** The same door under another configuration; undefined where there is to be none. */
  renewed(settings: Settings): Entrance | undefined {
    if (settings.auth === undefined) return undefined;
    this.door.reload(settings);
    return new Entrance({ ...this.parts, settings }, this.door);
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
  }

  /** Whether somebody may go on, there. */
  holds(visit: Visit): boolean {
    if (!visit.admission?.holds(Date.now())) return false;
    const shown = endpointFor(this.#accessOf(visit.admission), visit);
    return isEndpoint(shown) && shown.key === visit.key;
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
      if (!this.parts.isRoute(path, method) || path === "/livez") return this.parts.answer(request);
      if (HEALTH.includes(path)) {
        const isRead = method === "GET";
        return isRead ? this.#health(request, path, asked, peer) : this.parts.answer(request);
      }
    }
    const fail = (error: unknown) => this.parts.context.failed(error, request);
    try {
      const admitted = this.door.admit(asked, peer, path);
      return admitted instanceof Promise
        ? admitted.then((one) => this.#inForce().#enter(one, request, called, path)).catch(fail)
        : this.#enter(admitted, request, called, path);
    } catch (error) {
      return fail(error);
    }
  }

  /** What `access` says may have changed while a token was verified. */
  #inForce(): Entrance {
    const entrance = this.parts.inForce();
    if (entrance === undefined) {
      throw new Refusal(503, "Another configuration is taken on; try again");
    }
    return entrance;
  }

  #enter(admission: Admission, request: Request, called: Endpoint | undefined, path: string) {
    const { answer, context } = this.parts;
    if (called !== undefined) {
      const shown = endpointFor(this.#accessOf(admission), called);
      // Whatever else is told where all other paths are.
      if (isEndpoint(shown)) return post(request, { ...shown, admission }, context);
    } else if (!BY_ENDPOINT.test(path)) this.#require(admission, path);
    else if (path === "/") this.visit(AGGREGATE, admission, path);
    return answer(request, admission);
  }

  /**
   * What somebody is shown at an endpoint; undefined: for them there is none.
   * @throws {Refusal} 403
   */
  visit(endpoint: Endpoint, admission: Admission, path: string): Visit | undefined {
    const shown = endpointFor(this.#accessOf(admission), endpoint);
    if (isEndpoint(shown)) return { ...shown, admission };
    if (shown === "hidden") return void this.#denied(admission, path, 404);
    throw this.#refusal(admission, shown, path);
  }

  #require(admission: Admission, path: string): void {
    const denial = pathDenial(this.#accessOf(admission), path);
    if (denial !== undefined) throw this.#refusal(admission, denial, path);
  }

  #denied({ principal }: Admission, path: string, status: number): void {
    this.parts.context.gateway.events.emit({ kind: "denied", principal, path, status });
  }

  #refusal(admission: Admission, denial: Denial, path: string): Refusal {
    this.#denied(admission, path, 403);
    // Without an issuer there is nobody to get a scope from.
    if (typeof denial === "object" && this.parts.settings.auth?.issuers !== undefined) {
      return this.door.lacksScope(denial.scopes, path);
    }
    return new Refusal(
      403,
      `${path} is not open to ${JSON.stringify(admission.principal.who)}; see "access"`,
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
    return json({ status }, told.status, { "cache-control": "no-store" });
  }
}

function isEndpoint(shown: Endpoint | Denial): shown is Endpoint {
  return typeof shown === "object" && "key" in shown;
}
