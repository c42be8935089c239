/** What the configuration could spare or mend, from what was used: said, and never done. */

import { plural } from "../lib/text.ts";

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
  readonly week: WeekFigures;
  readonly before: WeekFigures;
}
type WeekFigures = { calls: number; failed: number; p95: number | undefined };

/** All that advice is made from. */
export interface AdviceFigures {
  /** For how many days calls are counted. */
  readonly days: number;
  readonly calls: number;
  readonly tools: readonly ToolFigures[];
  readonly servers: readonly ServerFigures[];
  readonly gating: { readonly gated: boolean; readonly savedTokens: number };
}

const MEMBERS = ["kind", "subject", "text", "figure", "reason", "config"] as const;
/** One piece of it; `config` is JSON to be copied into the file. */
export type Advice = Readonly<Record<(typeof MEMBERS)[number], string>>;
type Words = readonly [...words: readonly [string, string, string, string, string], config: object];

/** Below that many calls or days nothing is said. */
const [ENOUGH_CALLS, ENOUGH_DAYS, UNUSED_DAYS] = [50, 7, 30];
/** Tokens: of a definition, and what a gate has to save. */
const [LONG, MUCH] = [500, 5_000];
const MOST_NAMES = 20;

/** The advice there is. */
export function adviceFrom(figures: AdviceFigures): Advice[] {
  if (figures.calls < ENOUGH_CALLS || figures.days < ENOUGH_DAYS) return [];
  return Array.from(wordsOf(figures), (words) => {
    const texts = [...words.slice(0, -1), JSON.stringify(words.at(-1))];
    return Object.fromEntries(MEMBERS.map((name, at) => [name, texts[at]])) as unknown as Advice;
  });
}

function* wordsOf(figures: AdviceFigures): Generator<Words> {
  const { days, tools, servers } = figures;
  for (const server of servers) {
    yield* ofServer(server, Math.min(days, UNUSED_DAYS));
    if (days >= UNUSED_DAYS) yield* unused(server.name, tools);
  }
  for (const tool of tools) yield* ofTool(tool);
  yield* ofGate(figures);
}

function* ofServer(server: ServerFigures, of: number): Generator<Words> {
  const { name, isLazy, days, week, before } = server;
  const rule = (when: object) => ({ alerts: { rules: [{ ...when, servers: [name] }] } });
  if (!isLazy && days < of / 2) {
    const reason = "It runs all the time; a lazy server starts with its first call.";
    const figure = `${days} of ${Math.floor(of)} days`;
    yield [
      "lazy",
      name,
      `"${name}" is used on few days.`,
      figure,
      reason,
      set(name, { lazy: true }),
    ];
  }
  const [now = 0, then = 0] = [week.p95, before.p95].map((ms) => ms && Math.round(ms));
  if (Math.min(week.calls, before.calls) >= ENOUGH_CALLS && now >= 2 * then) {
    const text = `"${name}" takes twice as long as in the week before, or longer.`;
    const reason = "Its slow calls show where; a rule tells when it happens again.";
    const when = { when: "slow", p95: Math.max(2 * then, 1), in: "10m" };
    yield ["slower", name, text, `p95 ${now} ms, was ${then} ms`, reason, rule(when)];
  }
  if (week.calls >= ENOUGH_CALLS && week.failed > week.calls / 5) {
    const text = `More than a fifth of the calls of "${name}" fail.`;
    const figure = `${week.failed} of ${week.calls} calls in 7 days`;
    const reason = "Its problems tell of what; a rule tells when it happens.";
    yield ["failing", name, text, figure, reason, rule({ when: "errors", above: 20 })];
  }
}

function* unused(server: string, tools: readonly ToolFigures[]): Generator<Words> {
  const all = tools.filter((tool) => tool.server === server);
  const idle = all.filter(({ calls }) => calls === 0).sort((a, b) => b.tokens - a.tokens);
  if (idle.length === 0) return;
  const text = `${plural(idle.length, "tool")} of "${server}" had no call in 30 days.`;
  const figure = `${idle.reduce((sum, { tokens }) => sum + tokens, 0)} tokens`;
  const reason = `Clients are told of all ${all.length}; what is left out costs nothing.`;
  const exclude = idle.slice(0, MOST_NAMES).map(({ own }) => own);
  yield ["unused", server, text, figure, reason, set(server, { tools: { exclude } })];
}

function* ofTool(tool: ToolFigures): Generator<Words> {
  const { name, own, server, tokens, isReadOnly, isCached, calls, repeats } = tool;
  if (tokens > LONG) {
    const reason = "Clients read it with every list; a shorter description may do as well.";
    const config = set(server, { tools: { override: { [own]: { description: "…" } } } });
    yield [
      "long",
      name,
      `The definition of "${name}" is long.`,
      `${tokens} tokens`,
      reason,
      config,
    ];
  }
  if (isReadOnly && !isCached && calls >= ENOUGH_CALLS && repeats >= calls / 2) {
    const text = `"${name}" is asked the same again and again.`;
    const reason = "It changes nothing; a result that is kept is there at once.";
    const config = set(server, { cache: { [own]: { ttl: "10m" } } });
    yield ["cache", name, text, `${repeats} of ${calls} calls`, reason, config];
  }
}

function* ofGate({ gating, tools }: AdviceFigures): Generator<Words> {
  const used = tools.filter(({ calls }) => calls > 0).length;
  if (gating.gated || gating.savedTokens < MUCH || used > tools.length / 2) return;
  const text = "Clients are told of many tools that nobody calls.";
  const reason = `${used} of ${tools.length} are used; a gate lists a few that find the others.`;
  const figure = `${gating.savedTokens} tokens`;
  yield ["gating", "gating", text, figure, reason, { gating: "on" }];
}

function set(server: string, options: object): object {
  return { mcpServers: { [server]: options } };
}
