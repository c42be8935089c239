/** The lines of `check --connect` for people. */

import { firstLine, printable } from "../lib/text.ts";
import type { ConnectionReport } from "./check-connect.ts";
import type { Finding, Level } from "./diagnose.ts";
import type { Style } from "./view/style.ts";
import { type Cell, renderTable } from "./view/table.ts";

/** A table of servers, then the findings, then how many there are. */
export function renderConnections(report: ConnectionReport, style: Style): string[] {
  const { servers, tools, tokens, findings } = report;
  const rows = servers.map(({ name, state, error, counts, tokens }): (string | Cell)[] => [
    { text: printable(name), paint: style.name },
    { text: error === null ? state : "failed", paint: paintOf(state, error, style) },
    String(counts.tools),
    String(counts.prompts),
    String(counts.resources + counts.templates),
    String(tokens),
  ]);
  const total = ["total", "", String(tools), "", "", String(tokens)];
  const table = renderTable(
    [
      { title: "SERVER" },
      { title: "STATE" },
      { title: "TOOLS", align: "right" },
      { title: "PROMPTS", align: "right" },
      { title: "RESOURCES", align: "right" },
      { title: "~TOKENS", align: "right" },
    ],
    servers.length > 1 ? [...rows, total] : rows,
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
  const part = (level: Level) => `${count(level)} ${level}${count(level) === 1 ? "" : "s"}`;
  const text = `${part("error")}, ${part("warning")}, ${part("note")}`;
  if (count("error") > 0) return style.bad(text);
  return count("warning") > 0 ? style.warn(text) : style.good(text);
}
