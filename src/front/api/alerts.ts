import type { AlertRule } from "../../config/types.ts";
import { formatDuration } from "../../lib/time.ts";
import { shownChannel } from "../../observe/alerts/rules.ts";
import type { Asked } from "./ask.ts";

/** `GET /api/alerts` */
export async function alerts({ gateway, observatory }: Asked) {
  const { rules = [], to = [] } = gateway.config.settings.alerts ?? {};
  const told = await (await observatory.alerts)?.report();
  const { firing = [], history = [] } = told ?? {};
  return { rules: rules.map(shownRule), firing, history, channels: to.map(shownChannel) };
}

/** `above 20, of 10, in 5m` */
function shownRule({ when, servers = [], ...members }: AlertRule) {
  const said = Object.entries(members).map(([key, value]) => {
    const isTime = key === "for" || key === "in" || key === "p95";
    return `${key} ${isTime ? formatDuration(value) : value}`;
  });
  return { rule: when, servers, condition: said.join(", ") };
}
