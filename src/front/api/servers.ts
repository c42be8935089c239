/** One server, and one tool. */

import { gatewayStatus } from "../../gateway/status.ts";
import { tallyOf } from "../../gateway/offers.ts";
import { type JsonObject, parsedObject } from "../../lib/json.ts";
import { recentLines } from "../../log/mod.ts";
import { Tally } from "../../observe/history/tally.ts";
import { usageOver } from "../../observe/lately.ts";
import type { StateChange } from "../../observe/observatory.ts";
import { json } from "../reply.ts";
import { ApiError, type Asked, noSuch, OWN_HEADERS } from "./ask.ts";

/** Lines of what a process says. */
const MOST_LINES = 200;
const DAY = 86_400_000;

/** `GET /api/servers/NAME` */
export async function server(asked: Asked) {
  const { gateway, observatory, name } = asked;
  const { servers } = await gatewayStatus(gateway, tallyOf(gateway));
  const found = servers.find((one) => one.name === name);
  if (found === undefined) throw noSuch("server", name, gateway.config.servers.keys());
  return {
    ...found,
    states: statesOf(observatory.states.get(name) ?? []),
    stderr: stderrOf(name, gateway.redact),
    ...await loadFor(asked, "server"),
  };
}

/** Those of a day, and the one that it began with. */
function statesOf(all: readonly StateChange[]): readonly StateChange[] {
  // The end of a first attempt is told as well.
  const changes = all.filter(({ state }, at) => state !== all[at - 1]?.state);
  const first = changes.findLastIndex(({ at }) => at <= Date.now() - DAY);
  return changes.slice(Math.max(0, first));
}

/** Of a day. */
async function loadFor({ observatory, name }: Asked, by: "server" | "tool") {
  const { items } = await usageOver(observatory, by, "24h");
  const { calls, failed, p50, p95 } = items.find(({ key }) => key === name) ?? new Tally().load;
  return { calls, failed, p50, p95 };
}

/** As far as the log has it. */
function stderrOf(server: string, redact: (text: string) => string) {
  const prefix = "stderr: ";
  return recentLines.lines()
    .filter(({ category, message }) =>
      category === `upstream ${server}` && message.startsWith(prefix)
    )
    .slice(0, MOST_LINES)
    .map(({ at, message }) => ({ at, line: redact(message.slice(prefix.length)) }))
    .reverse();
}

/** `POST /api/servers/NAME/restart` */
export function restart({ gateway, name }: Asked): Response {
  const { members, config: { servers } } = gateway;
  if (servers.get(name)?.disabled) {
    throw new ApiError(409, "disabled", "It is switched off in the configuration");
  }
  if (!members.restart(name)) throw noSuch("server", name, servers.keys());
  return json({ server: name }, 202, OWN_HEADERS);
}

/** `GET /api/tools/NAME`: as clients of all servers see it. */
export async function tool(asked: Asked) {
  const { gateway, observatory, name } = asked;
  const { registry } = gateway.snapshots;
  const { aggregate } = registry;
  const route = aggregate.tool(name);
  const at = aggregate.names("tool").indexOf(name);
  const raw = aggregate.list("tools", "legacy").items[at];
  if (route === undefined || raw === undefined) throw noSuch("tool", name);
  const tally = tallyOf(gateway);
  await tally.of(registry);
  const { title, description, inputSchema, outputSchema, annotations }: JsonObject =
    parsedObject(raw) ?? {};
  return {
    ...{ name, server: route.server, ownName: route.name },
    ...{ title, description, inputSchema, outputSchema, annotations },
    tokens: tally.tokensOf(raw),
    ...await loadFor(asked, "tool"),
    last: observatory.recorder.recent({ filter: (call) => call.name === name, limit: 1 })[0]?.at,
  };
}
