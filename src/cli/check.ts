import type { Config, ServerConfig } from "../config/config.ts";
import type { ConfigIssue } from "../config/issue.ts";
import { collectSecrets } from "../config/secrets.ts";
import { createRedactor } from "../lib/redact.ts";
import type { Invocation } from "./commands.ts";
import {
  type Configuration,
  configurationError,
  describeIssue,
  findConfiguration,
} from "./configuration.ts";
import { ExitCode } from "./exit.ts";
import { type Io, say } from "./io.ts";
import { type Style, styleFor } from "./style.ts";
import { renderTable } from "./table.ts";
import { printable } from "./text.ts";

/** One server in the report. */
export interface CheckedServer {
  readonly name: string;
  readonly transport: string;
  readonly state: "ok" | "disabled" | "problem";
  /** The program or the origin; no arguments, paths or credentials. */
  readonly target: string;
  readonly problem?: ConfigIssue;
}

/** What `check --json` prints; part of the public contract. It contains no secret. */
export interface CheckReport {
  /** Every enabled server can be started, as far as the file tells. */
  readonly ok: boolean;
  readonly file: string | null;
  readonly servers: readonly CheckedServer[];
  readonly issues: readonly ConfigIssue[];
  readonly warnings: readonly ConfigIssue[];
}

/** `mcproxy check`: everything a start would read, without starting. */
export async function run({ options }: Invocation, io: Io): Promise<ExitCode> {
  const configuration = await findConfiguration(options.config, io);
  const report = checkReport(configuration);
  if (options.json === true) {
    await say(io.stdout, `${JSON.stringify(report)}\n`);
    return report.ok ? ExitCode.Ok : ExitCode.Config;
  }
  if (!configuration.ok) {
    throw configurationError(configuration.issues, io.cwd, configuration.file === undefined);
  }
  const talk = styleFor({ isTerminal: io.stderr.isTerminal, env: io.env });
  for (const warning of report.warnings) {
    await say(io.stderr, `${talk.warn(`warning: ${describeIssue(warning, io.cwd)}`)}\n`);
  }
  for (const issue of report.issues) {
    await say(io.stderr, `${talk.bad(describeIssue(issue, io.cwd))}\n`);
  }
  const style = styleFor({ isTerminal: io.stdout.isTerminal, env: io.env });
  await say(io.stdout, `${renderCheck(report, style).join("\n")}\n`);
  return report.ok ? ExitCode.Ok : ExitCode.Config;
}

/** The report about a configuration. A server's own problem counts while it is enabled. */
export function checkReport(configuration: Configuration): CheckReport {
  const file = configuration.file ?? null;
  if (!configuration.ok) {
    return { ok: false, file, servers: [], issues: configuration.issues, warnings: [] };
  }
  const servers = checkedServers(configuration.config);
  const issues = servers.flatMap(({ problem }) => problem === undefined ? [] : [problem]);
  return { ok: issues.length === 0, file, servers, issues, warnings: configuration.warnings };
}

function checkedServers(config: Config): CheckedServer[] {
  const redactor = createRedactor(collectSecrets(config));
  return [...config.servers.values()].map((server) => {
    const { name, disabled, problem } = server;
    const base = { name, transport: transportOf(server), target: redactor.text(targetOf(server)) };
    if (disabled) return { ...base, state: "disabled" };
    return problem === undefined
      ? { ...base, state: "ok" }
      : { ...base, state: "problem", problem };
  });
}

function transportOf({ target }: ServerConfig): string {
  if (target.kind === "stdio") return "stdio";
  return target.transport === "auto" ? "http" : target.transport;
}

function targetOf({ target }: ServerConfig): string {
  if (target.kind === "stdio") return target.command;
  return URL.parse(target.url)?.origin ?? "";
}

function renderCheck(report: CheckReport, style: Style): string[] {
  const paint = { ok: style.good, disabled: style.dim, problem: style.bad };
  const rows = report.servers.map(({ name, transport, state, target }) => [
    { text: printable(name), paint: style.name },
    transport,
    { text: state, paint: paint[state] },
    printable(target),
  ]);
  const table = renderTable(
    [{ title: "SERVER" }, { title: "TRANSPORT" }, { title: "STATE" }, { title: "TARGET" }],
    rows,
    { style },
  );
  const bad = report.issues.length;
  const count = (n: number, what: string) => `${n} ${what}${n === 1 ? "" : "s"}`;
  const verdict = bad === 0
    ? style.good(`${report.file}: ok, ${count(rows.length, "server")}`)
    : style.bad(`${report.file}: ${count(bad, "server")} of ${rows.length} cannot be started`);
  return [...(rows.length === 0 ? [] : [...table, ""]), verdict];
}
