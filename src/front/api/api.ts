/**
 * What the gateway tells of itself and of its calls, to its pages and commands
 * (docs/observability.md). Loaded when somebody asks.
 */

import type { Context } from "hono";
import type { Observatory } from "../../observe/observatory.ts";
import type { Visitor } from "../../protocol/exchange.ts";
import { type FrontContext, json, Refusal } from "../reply.ts";
import { ApiError, type Asked, OWN_HEADERS } from "./ask.ts";
import { alerts } from "./alerts.ts";
import { advice, call, calls, problems, record, setProblem, usage } from "./calls.ts";
import { checkConfiguration, configuration, saveConfiguration } from "./config.ts";
import { events } from "./events.ts";
import { log } from "./log.ts";
import { overview } from "./overview.ts";
import { restart, server, tool } from "./servers.ts";
import { whyNot } from "./who.ts";

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
      const objection = this.#whyNot(request, visitor);
      if (objection !== undefined) throw objection;
      const answers = new Map(Object.entries(ANSWERS[path]!));
      const answering = answers.get(request.method);
      if (answering === undefined) {
        const allow = [...answers.keys()].join(", ");
        throw new ApiError(405, "method_not_allowed", `Allowed: ${allow}`, {}, { allow });
      }
      const name = req.param("name") ?? "";
      const query = new URL(request.url).searchParams;
      const holds = this.#holds(request, visitor, req.path);
      const parts = { gateway, observatory, context, request, visitor, name, query, holds };
      const told = await answering(parts);
      return told instanceof Response ? told : json(told, 200, OWN_HEADERS);
    } catch (thrown) {
      const isOwn = thrown instanceof ApiError;
      if (!isOwn && !(thrown instanceof Refusal)) throw thrown;
      const { status, message, headers } = thrown;
      const said = isOwn
        ? { error: thrown.error, message, ...thrown.more }
        : { error: "refused", message };
      return json(said, status, { ...OWN_HEADERS, ...headers });
    }
  }

  #whyNot({ headers }: Request, { admission, address }: Visitor): ApiError | undefined {
    const { settings } = this.context.gateway.config;
    return whyNot({ settings, isAdmitted: admission !== undefined, address, headers });
  }

  /** Whether who was let in may go on, as asked now and then. */
  #holds(request: Request, visitor: Visitor, path: string): () => boolean {
    const { admission } = visitor;
    return () =>
      admission?.holds(Date.now()) !== false && this.context.gives(visitor, path) &&
      this.#whyNot(request, visitor) === undefined;
  }
}
