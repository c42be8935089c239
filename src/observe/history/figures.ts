/** What advice is made from: what a gateway offers now, and what the history tells of its use. */

import type { Gateway } from "../../gateway/gateway.ts";
import type { TokenTally } from "../../gateway/offers.ts";
import { parseGlob } from "../../lib/glob.ts";
import { isObject, parsedObject } from "../../lib/json.ts";
import { takingTurns } from "../../lib/time.ts";
import { type Advice, adviceFrom, type ToolFigures } from "../advice.ts";
import type { History } from "./history.ts";
import { tallies } from "./queries.ts";
import { HOUR, Tally } from "./tally.ts";

const DAY = 24 * HOUR;

/** What could be spared or mended. `now`: ms since the epoch. */
export async function adviceFor(
  gateway: Gateway,
  history: History,
  tally: TokenTally,
  now = Date.now(),
): Promise<Advice[]> {
  /** Of all, of a tool, and of a server in the week that began so many weeks ago. */
  const sums = new Map<string, Tally>();
  const sumOf = (...key: readonly unknown[]) =>
    sums.getOrInsertComputed(JSON.stringify(key), () => new Tally());
  const days = new Map<unknown, Set<number>>();
  let since = now;
  await history.ask(async (store) => {
    since = Number(store.all("SELECT min(at) AS at FROM hour")[0]?.["at"] ?? now);
    for await (const row of tallies(store, "hour", now - 30 * DAY)) {
      const [at, server] = [Number(row["at"]), row["server"]];
      const week = Math.floor((now - at) / (7 * DAY));
      for (const key of [[], [server, row["name"]], [server, week]]) sumOf(...key).add(row);
      days.getOrInsertComputed(server, () => new Set()).add(Math.floor(at / DAY));
    }
  });
  const { snapshots: { registry }, config } = gateway;
  const { aggregate } = registry;
  const { aggregate: { gated, savedTokens } } = await tally.of(registry);
  const tools: ToolFigures[] = [];
  const names = aggregate.names("tool");
  for await (const [at, raw] of takingTurns(aggregate.list("tools", "legacy").items.entries())) {
    const [name, route] = [names[at]!, aggregate.tool(names[at]!)];
    if (route === undefined) continue;
    const { server, name: own } = route;
    const { annotations } = parsedObject(raw) ?? {};
    // Under its own name it is known where its server is asked alone.
    const used = new Tally();
    for (const use of new Set([sumOf(server, name), sumOf(server, own)])) used.add(use);
    const { calls, repeats } = used;
    const rule = config.servers.get(server)?.transform?.cache
      .find(({ tools }) => parseGlob(tools).matches(own));
    const isReadOnly = isObject(annotations) && annotations.readOnlyHint === true;
    const isCached = rule !== undefined && rule.ttl > 0;
    const tokens = tally.tokensOf(raw);
    tools.push({ name, own, server, tokens, isReadOnly, isCached, calls, repeats });
  }
  const servers = Array.from(config.servers.values(), ({ name, lazy: isLazy }) => {
    const [week, before] = [sumOf(name, 0).load, sumOf(name, 1).load];
    return { name, isLazy, days: days.get(name)?.size ?? 0, week, before };
  });
  const gating = { gated, savedTokens };
  return adviceFrom({ days: (now - since) / DAY, calls: sumOf().calls, tools, servers, gating });
}
