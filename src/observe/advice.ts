/** What the configuration could spare or mend, from what was used: said, and never done. */

import { plural } from "../lib/text.ts";
import type { Load } from "./history/tally.ts";

/** A tool as it is listed now, and its calls of 30 days. */
export interface ToolFigures extends Record<"name" | "own" | "server", string> {
  /** What its definition takes in a model's context. */
  readonly tokens: number;
  readonly isReadOnly: boolean;
  readonly isCached: boolean;
  readonly calls: number;
  /** Those with the arguments of one before. */
  readonly repeats: number;
}

/** A server: on how many of the last 30 days it was called, and its calls of this week and the last. */
export interface ServerFigures {
  readonly name: string;
  readonly isLazy: boolean;
  readonly days: number;
  readonly week: Omit<Load, "p50">;
  readonly before: Omit<Load, "p50">;
}

/** All that advice is made from. */
export interface AdviceFigures {
  /** For how many days calls are counted. */
  readonly days: number;
  readonly calls: number;
  readonly tools: readonly ToolFigures[];
  readonly servers: readonly ServerFigures[];
  readonly gating: { readonly gated: boolean; readonly savedTokens: number };
}

/** One piece of it; `config` is JSON to be copied into the file. */
export type Advice = Readonly<
  Record<"kind" | "subject" | "text" | "figure" | "reason" | "config", string>
>;

/** Below that many calls or days nothing is said. */
const [ENOUGH_CALLS, ENOUGH_DAYS, UNUSED_DAYS] = [50, 7, 30];
/** Tokens: of a definition, and what a gate has to save. */
const [LONG, MUCH] = [500, 5_000];
const MOST_NAMES = 20;

/** The advice there is. */
export function adviceFrom({ days, calls, tools, servers, gating }: AdviceFigures): Advice[] {
  if (calls < ENOUGH_CALLS || days < ENOUGH_DAYS) return [];
  const of = Math.min(Math.floor(days), UNUSED_DAYS);
  return [
    ...servers.flatMap((server) => [...ofServer(server, of)]),
    ...(of < UNUSED_DAYS ? [] : servers.flatMap(({ name }) => unused(name, tools))),
    ...tools.flatMap((tool) => [...ofTool(tool)]),
    ...ofGate(gating, tools),
  ];
}

function* ofServer(server: ServerFigures, of: number): Generator<Advice> {
  const { name: subject, isLazy, days, week, before } = server;
  const ruleOf = (when: object) =>
    JSON.stringify({ alerts: { rules: [{ ...when, servers: [subject] }] } });
  if (!isLazy && days < of / 2) {
    const [text, figure] = [`"${subject}" is used on few days.`, `${days} of ${of} days`];
    const reason = "It runs all the time; a lazy server starts with its first call.";
    yield { kind: "lazy", subject, text, figure, reason, config: having(subject, { lazy: true }) };
  }
  const [now, then] = [Math.round(week.p95 ?? 0), Math.round(before.p95 ?? 0)];
  if (Math.min(week.calls, before.calls) >= ENOUGH_CALLS && now >= 2 * then) {
    const text = `"${subject}" takes twice as long as in the week before, or longer.`;
    const figure = `p95 ${now} ms, was ${then} ms`;
    const reason = "Its slow calls show where; a rule tells when it happens again.";
    const config = ruleOf({ when: "slow", p95: Math.max(2 * then, 1), in: "10m" });
    yield { kind: "slower", subject, text, figure, reason, config };
  }
  if (week.calls >= ENOUGH_CALLS && week.failed > week.calls / 5) {
    const text = `More than a fifth of the calls of "${subject}" fail.`;
    const figure = `${week.failed} of ${week.calls} calls in 7 days`;
    const reason = "Its problems tell of what; a rule tells when it happens.";
    const config = ruleOf({ when: "errors", above: 20 });
    yield { kind: "failing", subject, text, figure, reason, config };
  }
}

function unused(subject: string, tools: readonly ToolFigures[]): Advice[] {
  const all = tools.filter(({ server }) => server === subject);
  const idle = all.filter(({ calls }) => calls === 0).sort((a, b) => b.tokens - a.tokens);
  if (idle.length === 0) return [];
  const text = `${plural(idle.length, "tool")} of "${subject}" had no call in 30 days.`;
  const figure = `${idle.reduce((sum, { tokens }) => sum + tokens, 0)} tokens`;
  const reason = `Clients are told of all ${all.length}; what is left out costs nothing.`;
  const exclude = idle.slice(0, MOST_NAMES).map(({ own }) => own);
  const config = having(subject, { tools: { exclude } });
  return [{ kind: "unused", subject, text, figure, reason, config }];
}

function* ofTool(tool: ToolFigures): Generator<Advice> {
  const { name: subject, own, server, tokens, isReadOnly, isCached, calls, repeats } = tool;
  if (tokens > LONG) {
    const [text, figure] = [`The definition of "${subject}" is long.`, `${tokens} tokens`];
    const reason = "Clients read it with every list; a shorter description may do as well.";
    const config = having(server, { tools: { override: { [own]: { description: "…" } } } });
    yield { kind: "long", subject, text, figure, reason, config };
  }
  if (isReadOnly && !isCached && calls >= ENOUGH_CALLS && repeats >= calls / 2) {
    const text = `"${subject}" is asked the same again and again.`;
    const figure = `${repeats} of ${calls} calls`;
    const reason = "It changes nothing; a result that is kept is there at once.";
    const config = having(server, { cache: { [own]: { ttl: "10m" } } });
    yield { kind: "cache", subject, text, figure, reason, config };
  }
}

function ofGate({ gated, savedTokens }: AdviceFigures["gating"], tools: readonly ToolFigures[]) {
  const used = tools.filter(({ calls }) => calls > 0).length;
  if (gated || savedTokens < MUCH || used > tools.length / 2) return [];
  const [subject, figure] = ["gating", `${savedTokens} tokens`];
  const text = "Clients are told of many tools that nobody calls.";
  const reason = `${used} of ${tools.length} are used; a gate lists a few that find the others.`;
  return [{ kind: "gating", subject, text, figure, reason, config: '{"gating":"on"}' }];
}

function having(server: string, options: object): string {
  return JSON.stringify({ mcpServers: { [server]: options } });
}
