import { ExitCode, type Io, say } from "../app/io.ts";
import { type Configuration, configurationError, findConfiguration } from "../app/plan.ts";
import { type ConfigIssue, formatIssue } from "../config/issue.ts";
import { collectSecrets } from "../config/secrets.ts";
import type { Config, ServerConfig } from "../config/types.ts";
import { createRedactor } from "../lib/secrets.ts";
import { firstLine, isLoopback, plural, printable } from "../lib/text.ts";
import type { ConnectionReport } from "./diagnose.ts";
import type { Invocation } from "./command.ts";
import type { Finding, Level } from "./diagnose-tool.ts";
import { printReport, renderTable, type Style, styleFor } from "./view/table.ts";

/** `mcproxy check`: everything a start would read, and with `--connect` what it would reach. */
export async function run({ options }: Invocation, io: Io): Promise<ExitCode | number> {
  const configuration = await findConfiguration(options, io);
  if (!configuration.ok && options.json !== true) {
    throw configurationError(configuration.issues, { missing: configuration.file === undefined });
  }
  const here = configuration.ok ? await confining(configuration.config, io) : [];
  const read = checkReport(configuration, here);
  // Whoever only validates a file does not load a gateway for it.
  const connected = options.connect === true && configuration.ok
    ? await (await import("./diagnose.ts")).connectReport(configuration.config, io)
    : undefined;
  if (typeof connected === "number") return connected;
  const code = exitCodeOf(read, connected, options.strict === true);
  const report: CheckReport = { ...read, ok: code === ExitCode.Ok, connect: connected };
  if (options.json !== true) await tell(report, io);
  await printReport(io, options, report, (style) => renderCheck(report, style));
  return code;
}

/** What is wrong with the configuration is worse than what is wrong behind it. */
function exitCodeOf(
  { ok, warnings }: CheckReport,
  connected: ConnectionReport | undefined,
  strict: boolean,
): ExitCode {
  if (!ok) return ExitCode.Config;
  const levels = new Set(connected?.findings.map(({ level }) => level));
  if (levels.has("error")) return ExitCode.Failed;
  return strict && (warnings.length > 0 || levels.has("warning")) ? ExitCode.Failed : ExitCode.Ok;
}

async function tell(report: CheckReport, io: Io): Promise<void> {
  const talk = styleFor({ isTerminal: io.stderr.isTerminal, env: io.env });
  for (const warning of report.warnings) {
    await say(io.stderr, `${talk.warn(`warning: ${formatIssue(warning)}`)}\n`);
  }
  for (const issue of report.issues) await say(io.stderr, `${talk.bad(formatIssue(issue))}\n`);
}

/**
 * What `check --json` prints; part of the public contract. It contains no secret. `connect` is there
 * with `--connect` only, where the configuration can be read.
 */
type CheckReport = ReturnType<typeof checkReport> & {
  readonly connect?: ConnectionReport | undefined;
};

/** The report about a configuration. A server's own problem counts while it is enabled. */
function checkReport(configuration: Configuration, here: readonly ConfigIssue[]) {
  const { file = null } = configuration;
  if (!configuration.ok) {
    return { ok: false, file, servers: [], issues: configuration.issues, warnings: [] };
  }
  const servers = checkedServers(configuration.config);
  const issues = servers.flatMap(({ problem }) => problem ?? []);
  const warnings = [...configuration.warnings, ...openAddress(configuration.config), ...here];
  return { ok: issues.length === 0, file, servers, issues, warnings };
}

/** What can be said of sandboxes and images here. */
async function confining(config: Config, { env }: Io): Promise<readonly ConfigIssue[]> {
  const targets = [...config.servers.values()].map(({ instances }) => instances[0]!);
  if (!targets.some((one) => one.kind === "stdio" && (one.sandbox ?? one.image))) return [];
  return await (await import("./check-sandbox.ts")).confiningWarnings(config, env);
}

/** A start refuses such an address unless its command line says that it is meant. */
function openAddress({ file, settings: { host, auth } }: Config): ConfigIssue[] {
  if (isLoopback(host) || auth !== undefined) return [];
  const message = `found host ${JSON.stringify(host)}, expected a loopback address, "auth", or a ` +
    "start with --no-auth: other machines could use every server without authentication";
  return [{ file, line: 0, column: 0, path: "", message }];
}

function checkedServers(config: Config) {
  const redactor = createRedactor(collectSecrets(config));
  return [...config.servers.values()].map((server) => {
    const { name } = server;
    const problem = server.disabled ? undefined : server.problem;
    const enabled = problem === undefined ? "ok" : "problem";
    const state: "disabled" | typeof enabled = server.disabled ? "disabled" : enabled;
    const { transport, target } = reached(server);
    return { name, transport, target: redactor.text(target), state, problem };
  });
}

/** How, and where: the program or the origin; no arguments, paths or credentials. */
function reached({ instances }: ServerConfig) {
  const target = instances[0]!;
  if (target.kind === "stdio") return { transport: "stdio", target: target.command };
  const transport = target.transport === "auto" ? "http" : target.transport;
  return { transport, target: URL.parse(target.url)?.origin ?? "" };
}

function renderCheck(report: CheckReport, style: Style): string[] {
  const paint = { ok: style.good, disabled: style.dim, problem: style.bad };
  const rows = report.servers.map(({ name, transport, state, target }) => [
    { text: printable(name), paint: style.name },
    transport,
    { text: state, paint: paint[state] },
    printable(target),
  ]);
  const table = renderTable(["SERVER", "TRANSPORT", "STATE", "TARGET"], rows, { style });
  const bad = report.issues.length;
  const verdict = bad === 0
    ? style.good(`${report.file}: ok, ${plural(rows.length, "server")}`)
    : style.bad(`${report.file}: ${plural(bad, "server")} of ${rows.length} cannot be started`);
  const connected = report.connect && ["", ...renderConnections(report.connect, style)];
  return [...(rows.length === 0 ? [] : [...table, ""]), verdict, ...connected ?? []];
}

/** A table of servers, then the findings, then how many there are. */
function renderConnections(report: ConnectionReport, style: Style): string[] {
  const { servers, tools, tokens, findings } = report;
  const rows = servers.map(({ name, state, error, counts, tokens }) => [
    { text: printable(name), paint: style.name },
    { text: error === null ? state : "failed", paint: paintOf(state, error, style) },
    counts.tools,
    counts.prompts,
    counts.resources + counts.templates,
    tokens,
  ]);
  const table = renderTable(
    ["SERVER", "STATE", "TOOLS", "PROMPTS", "RESOURCES", "~TOKENS"],
    servers.length > 1 ? [...rows, ["total", "", tools, "", "", tokens]] : rows,
    { style },
  );
  return [
    ...(servers.length === 0 ? [] : [...table, ""]),
    ...findings.flatMap((finding) => findingLines(finding, style)),
    ...(findings.length === 0 ? [] : [""]),
    verdict(findings, style),
  ];
}

function paintOf(state: string, error: string | null, style: Style): (text: string) => string {
  if (error !== null) return style.bad;
  return state === "disabled" ? style.dim : style.good;
}

function findingLines(finding: Finding, style: Style): string[] {
  const { level, rule, server, subject, message, remedy } = finding;
  const paint = { error: style.bad, warning: style.warn, note: style.dim }[level];
  const about = [server, subject].filter((part) => part !== null)
    .map((part) => printable(part)).join(" ");
  const head = `${paint(`${level}:`)} ${about === "" ? "" : `${style.name(about)}: `}`;
  const line = `${head}${firstLine(message)} ${style.dim(`[${rule}]`)}`;
  return remedy === null ? [line] : [line, style.dim(`  ${firstLine(remedy)}`)];
}

function verdict(findings: readonly Finding[], style: Style): string {
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length;
  const part = (level: Level) => plural(count(level), level);
  const text = `${part("error")}, ${part("warning")}, ${part("note")}`;
  if (count("error") > 0) return style.bad(text);
  return count("warning") > 0 ? style.warn(text) : style.good(text);
}
