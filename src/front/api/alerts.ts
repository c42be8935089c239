import type { AlertChannel, AlertRule } from "../../config/types.ts";
import { formatDuration } from "../../lib/time.ts";
import { historyOf } from "../../observe/lately.ts";
import type { Asked } from "./ask.ts";

/** `GET /api/alerts` */
export async function alerts({ gateway, observatory }: Asked) {
  const { rules = [], to = [] } = gateway.config.settings.alerts ?? {};
  const history = await (await historyOf(observatory))?.alerts() ?? [];
  return { rules: rules.map(shownRule), firing: [], history, channels: to.map(shownChannel) };
}

/** `above 20, of 10, in 5m` */
function shownRule({ when, servers = [], ...members }: AlertRule) {
  const said = Object.entries(members).map(([key, value]) => {
    const isTime = key === "for" || key === "in" || key === "p95";
    return `${key} ${isTime ? formatDuration(value) : value}`;
  });
  return { rule: when, servers, condition: said.join(", ") };
}

/** Where it leads, without what only who may send there knows. */
function shownChannel(channel: AlertChannel) {
  const { kind } = channel;
  const target = kind === "command" ? channel.command[0]! : new URL(channel.url).host;
  return { kind, target };
}
