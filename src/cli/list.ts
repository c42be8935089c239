import { ExitCode, type Io } from "../app/io.ts";
import { firstLine, printable } from "../lib/text.ts";
import { ESTIMATE, exactTokenizer, type Tokenizer } from "../lib/tokens.ts";
import type { OfferedItem, ServerOffer } from "../gateway/offers.ts";
import { LIST_RULES } from "../protocol/lists.ts";
import { openCaller, untilSignal } from "./call.ts";
import type { Invocation } from "./command.ts";
import { unknownServer } from "./args.ts";
import { serverTokens, type ViewCost } from "./costs.ts";
import { printReport, renderTable, type Style, type TableOptions } from "./view/table.ts";

/** `mcproxy list [SERVER]`: what every server offers, and under which names. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const { args: [server], options } = invocation;
  const caller = await openCaller(invocation, io, server);
  return await untilSignal(caller, io, async () => {
    const exact = options["exact-tokens"] === true;
    const tokenizer = exact ? await exactTokenizer() : ESTIMATE;
    const all = await caller.offers(tokenizer);
    const servers = server === undefined ? all : all.filter(({ name }) => name === server);
    if (server !== undefined && servers.length === 0) {
      throw unknownServer(server, all.map(({ name }) => name));
    }
    // Views have the tools of other servers, too, and those may not even have been started.
    const report: TokenReport | undefined = exact || options.tokens === true
      ? { tokenizer, views: server === undefined ? await caller.views(tokenizer) : [] }
      : undefined;
    const width = io.stdout.isTerminal ? io.stdout.columns : Infinity;
    const render = (style: Style) => renderOffers(servers, { style, width }, report);
    await printReport(io, options, listJson(servers, report), render);
    return servers.some(({ error }) => error !== null) ? ExitCode.Failed : ExitCode.Ok;
  });
}

function listJson(servers: readonly ServerOffer[], report: TokenReport | undefined) {
  if (report === undefined) return { servers };
  const { tokenizer, views } = report;
  return {
    servers: servers.map((server) => ({ ...server, tokens: serverTokens(server) })),
    tokens: {
      tokenizer: tokenizer.name,
      exact: tokenizer.isExact,
      total: servers.reduce((sum, server) => sum + serverTokens(server), 0),
      views,
    },
  };
}

/** What was counted, and how. */
interface TokenReport {
  readonly tokenizer: Tokenizer;
  /** Of all servers, and of each profile; empty where only one server was asked for. */
  readonly views: readonly ViewCost[];
}

type View = Required<TableOptions>;

/** The lines of `list` for people: a heading per server, a table per kind. */
function renderOffers(
  servers: readonly ServerOffer[],
  { style, width }: View,
  report: TokenReport | undefined,
): string[] {
  const lines = servers.flatMap((server, at) => {
    const blocks = LIST_RULES.flatMap(({ kind }) => {
      const items = server[kind];
      return items.length === 0 ? [] : [
        `  ${style.dim(kind === "templates" ? "resource templates" : kind)}`,
        ...itemLines(items, { style, width: width - 4 }, report !== undefined),
      ];
    });
    const heading = `${style.bold(printable(server.name))}  ${summary(server, style)}`;
    const taken = report === undefined ? 0 : serverTokens(server);
    const total = report === undefined || taken === 0
      ? ""
      : style.dim(`  ${tokensText(taken, report.tokenizer)}`);
    return [...(at === 0 ? [] : [""]), heading + total, ...blocks];
  });
  return report === undefined
    ? lines
    : [...lines, ...renderTokens(servers, report, { style, width })];
}

function summary(server: ServerOffer, style: Style): string {
  if (server.error !== null) return style.bad(firstLine(server.error));
  if (server.state === "disabled") return style.dim("disabled");
  const counts = LIST_RULES.filter(({ kind }) => server[kind].length > 0)
    .map(({ kind }) => `${kind} ${server[kind].length}`);
  return style.dim(counts.length === 0 ? "offers nothing" : counts.join("  "));
}

/** Name at the gateway, the server's own where it differs, first line of the description. */
function itemLines(items: readonly OfferedItem[], view: View, tokens: boolean): string[] {
  // Where no name differs, an empty column would only push the descriptions to the right.
  const same = items.every(({ exposed, own }) => exposed === own);
  const counted = tokens && items.some((item) => item.tokens !== undefined);
  const rows = items.map(({ exposed, own, title, description, tokens: count }) => [
    { text: printable(exposed ?? "?"), paint: view.style.name },
    ...(same ? [] : [{ text: exposed === own ? "" : printable(own), paint: view.style.dim }]),
    ...(counted ? [count ?? ""] : []),
    firstLine(description ?? title ?? ""),
  ]);
  const [, ...lines] = renderTable(rows[0]?.map(() => "") ?? [], rows, view);
  return lines.map((line) => `    ${line}`);
}

/** `about 120 tokens`, or `120 tokens` where they were counted exactly. */
function tokensText(tokens: number, { isExact }: Tokenizer): string {
  return `${isExact ? "" : "about "}${tokens} tokens`;
}

/** The lines below the servers: the sum of all, then what each view costs, gated and not. */
export function renderTokens(
  servers: readonly ServerOffer[],
  { tokenizer, views }: TokenReport,
  view: View,
): string[] {
  if (servers.length < 2 && views.length === 0) return [];
  const tools = servers.reduce((sum, server) => sum + server.tools.length, 0);
  const tokens = servers.reduce((sum, server) => sum + serverTokens(server), 0);
  const how = `${tokenizer.isExact ? "counted" : "estimated"} by ${tokenizer.name}`;
  const { bold, dim } = view.style;
  const counts = dim(`tools ${tools}  ${tokensText(tokens, tokenizer)}, ${how}`);
  return ["", `${bold("all servers")}  ${counts}`, ...viewLines(views, view)];
}

function viewLines(views: readonly ViewCost[], view: View): string[] {
  if (views.length === 0) return [];
  const titles = ["VIEW", "TOOLS", "TOKENS", "GATED TO", "TOKENS", "GATING", "GATED NOW"];
  const rows = views.map((cost) => [
    { text: printable(cost.path), paint: view.style.name },
    cost.tools,
    cost.tokens,
    cost.gatedTools,
    cost.gatedTokens,
    savingText(cost),
    `${cost.gated ? "yes" : "no"}: ${cost.why}`,
  ]);
  return ["", ...renderTable(titles, rows, view)];
}

function savingText({ gated, savedTokens, savedPercent }: ViewCost): string {
  if (savedTokens < 0) return `${gated ? "costs" : "would cost"} ${-savedTokens} more`;
  return `${gated ? "saves" : "would save"} ${savedTokens} (${savedPercent}%)`;
}
