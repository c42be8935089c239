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
  const used = new Map<string, Tally>();
  const asked = new Map<string, { days: Set<number>; week: Tally; before: Tally }>();
  const forServer = (name: string) =>
    asked.getOrInsertComputed(
      name,
      () => ({ days: new Set(), week: new Tally(), before: new Tally() }),
    );
  const all = new Tally();
  let since = now;
  await history.ask(async (store) => {
    since = Number(store.all("SELECT min(at) AS at FROM hour")[0]?.["at"] ?? now);
    for await (const row of tallies(store, "hour", now - 30 * DAY)) {
      const [at, server] = [Number(row["at"]), forServer(String(row["server"]))];
      server.days.add(Math.floor(at / DAY));
      const age = now - at;
      const tool = toolKey(row["server"], row["name"]);
      const sums = [all, used.getOrInsertComputed(tool, () => new Tally())];
      if (age < 7 * DAY) sums.push(server.week);
      else if (age < 14 * DAY) sums.push(server.before);
      for (const sum of sums) sum.add(row);
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
    const uses = [...new Set([name, own])].map((one) => used.get(toolKey(server, one)));
    const calls = uses.reduce((sum, use) => sum + (use?.calls ?? 0), 0);
    const repeats = uses.reduce((sum, use) => sum + (use?.repeats ?? 0), 0);
    const rule = config.servers.get(server)?.transform?.cache
      .find(({ tools }) => parseGlob(tools).matches(own));
    const isReadOnly = isObject(annotations) && annotations.readOnlyHint === true;
    const isCached = rule !== undefined && rule.ttl > 0;
    const tokens = tally.tokensOf(raw);
    tools.push({ name, own, server, tokens, isReadOnly, isCached, calls, repeats });
  }
  const servers = Array.from(config.servers.values(), ({ name, lazy: isLazy }) => {
    const { days, week, before } = forServer(name);
    return { name, isLazy, days: days.size, week: week.load, before: before.load };
  });
  const days = (now - since) / DAY;
  const gating = { gated, savedTokens };
  return adviceFrom({ days, calls: all.calls, tools, servers, gating });
}

function toolKey(server: unknown, name: unknown): string {
  return `${server}\0${name}`;
}
