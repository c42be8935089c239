import { type Attention, levelOf, worstFirst } from "../../gateway/attention.ts";
import { tallyOf } from "../../gateway/offers.ts";
import { gatewayStatus } from "../../gateway/status.ts";
import { Tally } from "../../observe/history/tally.ts";
import { gatewayMs, trafficOver } from "../../observe/lately.ts";
import { type Asked, rangeIn } from "./ask.ts";

/** Of so many calls such a share has to fail before it is worth a word. */
const [LEAST_CALLS, SHARE] = [10, 0.2];
/** So many calls have to take so many ms, and twice what they did before. */
const [MANY_CALLS, LONG] = [50, 100];

/** `GET /api/overview` */
export async function overview({ gateway, observatory, query }: Asked) {
  const range = rangeIn(query, "1h");
  const status = await gatewayStatus(gateway, tallyOf(gateway));
  const traffic = await trafficOver(observatory, range);
  const { from, to, step, total, before, steps } = traffic;
  const none = new Tally().load;
  const quiet = { total: none, spark: steps.map(() => 0) };
  const servers = status.servers.map((server) => {
    const { name, state, transport, tokens, counts } = server;
    const { total: load, spark } = traffic.servers.get(name) ?? quiet;
    const { era, since } = "since" in server ? server : { era: undefined, since: undefined };
    const level = levelOf(server);
    return {
      ...{ name, state, transport, era, tools: counts.tools, tokens },
      ...load,
      spark,
      since: since && Date.parse(since),
      level: level === "ok" && isFailing(load) ? "warn" as const : level,
    };
  });
  const troubled = servers.flatMap(({ name: subject, level, ...load }): Attention[] => {
    const { calls, failed, p95 = 0 } = load;
    const href = `#/calls?filter=${encodeURIComponent(`server:"${subject}"`)}`;
    const about = { level: "warn", subject, act: { label: "Calls", href } } as const;
    if (level === "warn" && isFailing(load)) {
      const text = `${failed} of ${calls} calls in ${range}.`;
      return [{ ...about, kind: "errors", title: `Calls of ${subject} fail`, text }];
    }
    const { calls: many, p95: was = 0 } = traffic.servers.get(subject)?.before ?? none;
    if (Math.min(calls, many) < MANY_CALLS || p95 < Math.max(LONG, 2 * was)) return [];
    const text = `p95 is ${Math.round(p95)} ms in ${range}, was ${Math.round(was)} ms before.`;
    return [{ ...about, kind: "slow", title: `${subject} takes twice as long`, text }];
  });
  const { firing = [] } = await (await observatory.alerts)?.report() ?? {};
  const alerts = firing.map(({ rule, subject, text }): Attention => {
    const title = `${subject || "mcproxy"}: ${rule}`;
    const act = { label: "Alerts", href: "#/alerts" };
    return { kind: "alert", level: "bad", subject, title, text, act };
  });
  const { gated, tokens, gatedTokens, savedTokens } = status.gating;
  return {
    ...{ range, from, to, step, sentence: status.sentence },
    attention: worstFirst([...alerts, ...status.attention, ...troubled]),
    ...{ calls: total.calls, failed: total.failed, p50: total.p50, p95: total.p95 },
    before: { calls: before.calls, failed: before.failed },
    gatewayMs: gatewayMs(observatory),
    // What a list of the tools takes, and what it does not.
    tokens: gated ? gatedTokens : tokens,
    spared: gated ? savedTokens : 0,
    traffic: steps.map(({ at, calls, failed, p95 }) => ({ at, calls, failed, p95 })),
    servers,
  };
}

function isFailing({ calls, failed }: { readonly calls: number; readonly failed: number }) {
  return calls >= LEAST_CALLS && failed > calls * SHARE;
}
