/**
 * What the gateway tells of itself and of its calls, to its pages and commands
 * (docs/observability.md). Loaded when somebody asks.
 */

import type { Context } from "hono";
import { AGGREGATE } from "../../gating/endpoint.ts";
import type { Observatory } from "../../observe/observatory.ts";
import { LOCAL, type Visitor } from "../../protocol/exchange.ts";
import { type FrontContext, json, Refusal } from "../reply.ts";
import { ApiError, type Asked, OWN_HEADERS } from "./ask.ts";
import { alerts } from "./alerts.ts";
import { advice, call, calls, problems, record, setProblem, usage } from "./calls.ts";
import { checkConfiguration, configuration, saveConfiguration } from "./config.ts";
import { events } from "./events.ts";
import { log } from "./log.ts";
import { overview } from "./overview.ts";
import { restart, server, tool } from "./servers.ts";
import { isOthersPage, whyNot } from "./who.ts";

/** Gives what becomes the JSON of the answer, or the answer. */
type Answering = (asked: Asked) => unknown;

/** By the path below `/api/`, as it is mounted, what answers which method. */
const ANSWERS: Readonly<Record<string, Readonly<Record<string, Answering>>>> = {
  "overview": { GET: overview },
  "servers/:name": { GET: server },
  "servers/:name/restart": { POST: restart },
  "tools/:name": { GET: tool },
  "calls": { GET: calls },
  "calls/:name": { GET: call },
  "usage": { GET: usage },
  "advice": { GET: advice },
  "problems": { GET: problems },
  "problems/:name": { POST: setProblem },
  "record": { POST: record },
  "alerts": { GET: alerts },
  "log": { GET: log },
  "config": { GET: configuration, PUT: saveConfiguration },
  "config/check": { POST: checkConfiguration },
  "events": { GET: events },
};

const CLOSED =
  'This is for who is on this machine; set "dashboard" to "on" where the network, or a ' +
  'proxy in front, decides who reaches the gateway, or let people in by "auth"';

/** What answers at the paths of {@link ANSWERS}. */
export class ApiAnswers {
  constructor(
    private readonly context: FrontContext,
    private readonly observatory: Observatory,
  ) {}

  /** `path` is one of {@link ANSWERS}. */
  async to({ req, env }: Context, path: string): Promise<Response> {
    const { context, observatory } = this;
    const { gateway } = context;
    const request = req.raw;
    const visitor: Visitor = env ?? {};
    try {
      this.#require(request, visitor);
      const answers = ANSWERS[path]!;
      const allow = Object.keys(answers).join(", ");
      // A method may be any word: "constructor" is one of every object.
      const answering = Object.hasOwn(answers, request.method)
        ? answers[request.method]
        : undefined;
      if (answering === undefined) {
        const error = new ApiError(405, "method_not_allowed", `Allowed: ${allow}`);
        return failure(error, { allow });
      }
      const name = req.param("name") ?? "";
      const query = new URL(request.url).searchParams;
      const holds = this.#holds(request, visitor);
      const parts = { gateway, observatory, context, request, visitor, name, query, holds };
      const told = await answering(parts);
      return told instanceof Response ? told : json(told, 200, OWN_HEADERS);
    } catch (error) {
      if (error instanceof ApiError) return failure(error);
      if (!(error instanceof Refusal)) throw error;
      const { status, message, headers } = error;
      return failure(new ApiError(status, "refused", message), headers);
    }
  }

  /** @throws {ApiError} for whom it is not */
  #require({ headers }: Request, { admission, address }: Visitor): void {
    const { settings: { auth, publicUrl, dashboard: { mode } } } = this.context.gateway.config;
    if (isOthersPage(headers, publicUrl)) {
      throw new ApiError(403, "forbidden", "Pages of other sites are not allowed here");
    }
    const [hasAuth, isAdmitted] = [auth !== undefined, admission !== undefined];
    const status = whyNot({ hasAuth, isAdmitted, mode, address, headers });
    if (status === 503) throw new ApiError(503, "renewing", "Another configuration is taken on");
    if (status === 404) throw new ApiError(404, "not_found", 'There is no dashboard: it is "off"');
    if (status === 403) throw new ApiError(403, "forbidden", CLOSED);
  }

  /** Whether who was let in may go on, as asked now and then. */
  #holds(request: Request, visitor: Visitor): () => boolean {
    const visit = { ...AGGREGATE, ...visitor };
    const { admission } = visitor;
    // Who is given this path alone is not shown all servers.
    const isLocal = admission?.principal === LOCAL;
    const isWhole = !isLocal && this.context.holds(visit);
    return () => {
      if (admission?.holds(Date.now()) === false) return false;
      if (isWhole && !this.context.holds(visit)) return false;
      const { auth } = this.context.gateway.config.settings;
      if (admission !== undefined && !isLocal && auth === undefined) return false;
      try {
        this.#require(request, visitor);
        return true;
      } catch {
        return false;
      }
    };
  }
}

function failure({ status, error, message, more }: ApiError, headers = {}): Response {
  return json({ error, message, ...more }, status, { ...OWN_HEADERS, ...headers });
}
