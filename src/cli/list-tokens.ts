/** What tools take of a model's context, as `list --tokens` shows it. */

import { printable } from "../lib/text.ts";
import type { Tokenizer } from "../lib/tokens.ts";
import type { ServerOffer } from "./offers.ts";
import type { ViewCost } from "./view-cost.ts";
import type { Style } from "./view/style.ts";
import { renderTable } from "./view/table.ts";

/** What was counted, and how. */
export interface TokenReport {
  readonly tokenizer: Tokenizer;
  /** Of all servers, and of each profile; empty where only one server was asked for. */
  readonly views: readonly ViewCost[];
}

/** Tokens of a server's tools. */
export function serverTokens({ tools }: Pick<ServerOffer, "tools">): number {
  return tools.reduce((sum, { tokens }) => sum + (tokens ?? 0), 0);
}

/** `about 120 tokens`, or `120 tokens` where they were counted exactly. */
export function tokensText(tokens: number, { isExact }: Tokenizer): string {
  return `${isExact ? "" : "about "}${tokens} tokens`;
}

/** The `tokens` of `list --json --tokens`. */
export function tokensJson(servers: readonly ServerOffer[], { tokenizer, views }: TokenReport) {
  return {
    tokenizer: tokenizer.name,
    exact: tokenizer.isExact,
    total: servers.reduce((sum, server) => sum + serverTokens(server), 0),
    views,
  };
}

/** The lines below the servers: the sum of all, then what each view costs, gated and not. */
export function renderTokens(
  servers: readonly ServerOffer[],
  { tokenizer, views }: TokenReport,
  { style, width }: { readonly style: Style; readonly width: number },
): string[] {
  if (servers.length < 2 && views.length === 0) return [];
  const tools = servers.reduce((sum, server) => sum + server.tools.length, 0);
  const tokens = servers.reduce((sum, server) => sum + serverTokens(server), 0);
  const how = `${tokenizer.isExact ? "counted" : "estimated"} by ${tokenizer.name}`;
  const counts = style.dim(`tools ${tools}  ${tokensText(tokens, tokenizer)}, ${how}`);
  return ["", `${style.bold("all servers")}  ${counts}`, ...viewLines(views, { style, width })];
}

function viewLines(
  views: readonly ViewCost[],
  { style, width }: { readonly style: Style; readonly width: number },
): string[] {
  if (views.length === 0) return [];
  const columns = [
    { title: "VIEW" },
    { title: "TOOLS", align: "right" as const },
    { title: "TOKENS", align: "right" as const },
    { title: "GATED TO", align: "right" as const },
    { title: "TOKENS", align: "right" as const },
    { title: "GATING" },
    { title: "GATED NOW" },
  ];
  const rows = views.map((view) => [
    { text: printable(view.path), paint: style.name },
    String(view.tools),
    String(view.tokens),
    String(view.gatedTools),
    String(view.gatedTokens),
    savingText(view),
    `${view.gated ? "yes" : "no"}: ${view.why}`,
  ]);
  return ["", ...renderTable(columns, rows, { style, width })];
}

function savingText({ gated, savedTokens, savedPercent }: ViewCost): string {
  if (savedTokens < 0) return `${gated ? "costs" : "would cost"} ${-savedTokens} more`;
  return `${gated ? "saves" : "would save"} ${savedTokens} (${savedPercent}%)`;
}
