/** Calls, and what they come to. */

import { tallyOf } from "../../gateway/offers.ts";
import { parseDuration } from "../../lib/time.ts";
import { type CallFilter, FilterError, parseFilter } from "../../observe/filter.ts";
import type { ObservedCall } from "../../observe/call.ts";
import { adviceFor } from "../../observe/history/figures.ts";
import * as past from "../../observe/history/queries.ts";
import { fromHistory, usageOver } from "../../observe/lately.ts";
import { PROBLEM_STATES } from "../../observe/problems.ts";
import { ApiError, type Asked, bodyOf, limitIn, MOST_ITEMS, noSuch } from "./ask.ts";
import { oneOf, rangeIn, unreadable } from "./ask.ts";

/** For how long bodies may be recorded, ms. */
const LONGEST = 86_400_000;

/** The filter that is asked for. @throws {ApiError} */
export function filterIn(query: URLSearchParams): CallFilter {
  try {
    return parseFilter(query.get("filter") ?? "");
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    throw new ApiError(400, "invalid_filter", error.message);
  }
}

/** `GET /api/calls`: the newest first. */
export async function calls({ observatory, query }: Asked) {
  const [filter, limit] = [filterIn(query), limitIn(query)];
  const before = query.get("before") ?? undefined;
  const [, at, id] = /^(\d+(?:\.\d+)?)(?:-(\w+))?$/.exec(before ?? "0") ?? [];
  if (at === undefined) throw unreadable("before", "the next of an answer");
  const page = await fromHistory(observatory, past.callsOf, { filter, before, limit });
  if (page !== undefined) return page;
  const kept = observatory.recorder.recent({ filter });
  // Several may have come in the same moment.
  const place = kept.findIndex((call) => call.id === id);
  const isLeft = (call: ObservedCall) => before === undefined || call.at < Number(at);
  const left = place < 0 ? kept.filter(isLeft) : kept.slice(place + 1);
  const [items, last] = [left.slice(0, limit), left[limit - 1]];
  return { items, next: last && left.length > limit ? `${last.at}-${last.id}` : null };
}

/** `GET /api/calls/ID` */
export async function call({ observatory, name: id }: Asked) {
  const { recorder } = observatory;
  const found = recorder.find(id) ?? await fromHistory(observatory, past.callById, id);
  if (found === undefined) throw noSuch("call", id);
  const kept = recorder.recent({ filter: ({ parent }) => parent === id, limit: MOST_ITEMS });
  const older = kept.length === 0 && await fromHistory(observatory, past.innerCalls, found);
  const said = await (await observatory.bodies()).find(id);
  const body = said ?? await fromHistory(observatory, past.callBody, id);
  return { ...found, inner: older || kept, body };
}

/** `POST /api/record` */
export async function record(asked: Asked) {
  const { for: time, server: named, bodies: kept = "all" } = await bodyOf(asked);
  const { gateway: { config: { servers } }, observatory } = asked;
  const ms = parseDuration(time);
  if (ms === undefined || ms > LONGEST) throw unreadable("for", "a duration of at most 24h");
  const server = named === undefined ? undefined : String(named);
  if (server !== undefined && !servers.has(server)) throw noSuch("server", server, servers.keys());
  const mode = oneOf(["all", "errors"], "bodies", kept);
  return { until: (await observatory.bodies()).record({ ms, server, mode }) };
}

/** `GET /api/usage`: with what the definitions of a tool, or of a server, take of a context. */
export async function usage({ gateway, observatory, query }: Asked) {
  const by = oneOf(["tool", "server", "client"], "by", query.get("by") ?? "tool");
  const { from, items } = await usageOver(observatory, by, rangeIn(query, "24h"));
  const tally = tallyOf(gateway);
  const { registry } = gateway.snapshots;
  const { servers } = await tally.of(registry);
  const { aggregate } = registry;
  const raws = aggregate.list("tools", "legacy").items;
  const places = new Map(
    by === "tool" ? aggregate.names("tool").map((name, at) => [name, at]) : [],
  );
  const tokensOf = (key: string) => {
    const raw = raws[places.get(key) ?? -1];
    return by === "server" ? servers.get(key) : raw && tally.tokensOf(raw);
  };
  return { from, items: items.map((one) => ({ ...one, tokens: tokensOf(one.key) })), next: null };
}

/** `GET /api/advice` */
export async function advice({ gateway, observatory }: Asked) {
  const history = await observatory.history();
  const items = history && await adviceFor(gateway, history, tallyOf(gateway));
  return { items: items ?? [], next: null };
}

/** `GET /api/problems` */
export async function problems({ observatory, query }: Asked) {
  const given = query.get("state") || undefined;
  const state = given === undefined ? given : oneOf(PROBLEM_STATES, "state", given);
  const items = await fromHistory(observatory, past.problemsIn, state);
  return { items: items ?? [], next: null };
}

/** `POST /api/problems/ID` */
export async function setProblem(asked: Asked) {
  const { name: fingerprint, observatory } = asked;
  const state = oneOf(PROBLEM_STATES, "state", (await bodyOf(asked))["state"]);
  const isSet = await fromHistory(observatory, past.markProblem, fingerprint, state);
  if (isSet) return { fingerprint, state };
  throw noSuch("problem", fingerprint);
}
