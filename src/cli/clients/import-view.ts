/** What `import` tells. Programs and origins are shown; arguments, paths and values never are. */

import type { ServerConfig } from "../../config/config.ts";
import type { ConfigIssue } from "../../config/issue.ts";
import { looksSecret, secretsOfUrl } from "../../config/secrets.ts";
import type { RawObject } from "../../config/section.ts";
import { printable } from "../../lib/text.ts";
import type { Style } from "../view/style.ts";
import { renderTable } from "../view/table.ts";
import type { Decision, ImportOutcome } from "./import-plan.ts";

/** One server in the report. */
export interface ImportedServer {
  readonly name: string;
  /** The name it is added under. */
  readonly as: string;
  readonly transport: string;
  /** The program or the origin; no arguments, paths or credentials. */
  readonly target: string;
  readonly verdict: ImportOutcome;
  /** Literal secrets in it. */
  readonly secrets: number;
}

/** What was found in one section of a file. */
export interface ImportedSource {
  readonly client: string | null;
  readonly file: string;
  readonly project: string | null;
  readonly servers: readonly ImportedServer[];
  readonly issues: readonly ConfigIssue[];
}

/** What `import --json` prints; part of the public contract. It contains no secret. */
export interface ImportReport {
  /** The configuration that is added to. */
  readonly file: string;
  readonly written: boolean;
  /** Servers that were added, or would be. */
  readonly added: number;
  readonly backup: string | null;
  readonly sources: readonly ImportedSource[];
  /** Literal secrets in the servers to add; moved with `--secrets`, else left where they are. */
  readonly secrets: {
    readonly found: number;
    readonly moved: boolean;
    readonly file: string | null;
  };
}

/** One decision for the report; `secrets` counts the literal ones. */
export function importedServer({ found, verdict, as }: Decision, secrets: number): ImportedServer {
  const { name, entry, server } = found;
  return {
    name,
    as,
    transport: transportOf(entry, server),
    target: targetOf(entry),
    verdict,
    secrets,
  };
}

function transportOf(entry: RawObject, server: ServerConfig | undefined): string {
  const target = server?.target;
  if (target === undefined) return "command" in entry ? "stdio" : "http";
  if (target.kind === "stdio") return "stdio";
  return target.transport === "auto" ? "http" : target.transport;
}

function targetOf({ command, url, urls }: RawObject): string {
  if (typeof command === "string") return looksSecret("", command) ? "" : command;
  const first: unknown = url ?? (Array.isArray(urls) ? urls[0] : undefined);
  if (typeof first !== "string") return "";
  const parsed = URL.parse(first);
  // What an origin of another scheme than http is, is not known.
  if (parsed !== null && parsed.origin !== "null") return parsed.origin;
  return secretsOfUrl(first).length > 0 || parsed !== null ? "" : first.replace(/[?#].*$/s, "");
}

const WHY: Readonly<Record<ImportOutcome, string>> = {
  add: "add",
  known: "there already",
  conflict: "left out: another server has this name",
  gateway: "left out: this is the gateway itself",
  invalid: "left out: it is invalid",
};

/** The report for people; `titles` are the clients' names by their short ones. */
export function renderImport(
  report: ImportReport,
  { style, titles }: {
    readonly style: Style;
    readonly titles: ReadonlyMap<string, string>;
  },
): string[] {
  const blocks = report.sources.filter(({ servers }) => servers.length > 0)
    .flatMap((source) => [...sourceLines(source, titles, style), ""]);
  return [...blocks, ...verdictLines(report, style)];
}

function sourceLines(
  { client, file, project, servers }: ImportedSource,
  titles: ReadonlyMap<string, string>,
  style: Style,
): string[] {
  const title = client === null ? undefined : titles.get(client) ?? client;
  const place = project === null ? file : `${file}, ${project}`;
  const heading = title === undefined
    ? style.bold(printable(place))
    : `${style.bold(title)}  ${style.dim(printable(place))}`;
  const rows = servers.map(({ name, as, transport, target, verdict }) => [
    { text: printable(name), paint: style.name },
    transport,
    printable(target),
    {
      text: as === name ? WHY[verdict] : `${WHY[verdict]} as ${printable(as)}`,
      paint: verdict === "add"
        ? style.good
        : verdict === "conflict" || verdict === "invalid"
        ? style.warn
        : style.dim,
    },
  ]);
  const [, ...lines] = renderTable(
    [{ title: "" }, { title: "" }, { title: "" }, { title: "" }],
    rows,
    { style },
  );
  return [heading, ...lines.map((line) => `  ${line}`)];
}

function verdictLines(
  { file, written, added, backup, secrets, sources }: ImportReport,
  style: Style,
): string[] {
  const servers = `${added} server${added === 1 ? "" : "s"}`;
  if (added === 0) {
    const found = sources.some((source) => source.servers.length > 0);
    return [found ? `Nothing to add to ${printable(file)}` : "Found no servers to add"];
  }
  if (!written) {
    return [
      `${servers} to add to ${printable(file)}`,
      "Nothing was written; the same with --write does it",
    ];
  }
  return [
    style.good(`${servers} added to ${printable(file)}`),
    ...(backup === null ? [] : [style.dim(`Backup: ${printable(backup)}`)]),
    ...(secrets.moved && secrets.found > 0 && secrets.file !== null
      ? [
        `${secrets.found} literal secret${secrets.found === 1 ? "" : "s"} moved to ${
          printable(secrets.file)
        }`,
      ]
      : []),
  ];
}
