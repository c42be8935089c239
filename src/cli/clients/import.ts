import { resolve } from "node:path";
import { ExitCode, type Io, say } from "../../app/io.ts";
import { describeIssue } from "../../app/plan.ts";
import { loadCredentials } from "../../config/credentials.ts";
import type { ConfigIssue } from "../../config/issue.ts";
import type { RawObject } from "../../config/layouts.ts";
import { looksSecret, secretsOfUrl } from "../../config/secrets.ts";
import type { ServerConfig } from "../../config/types.ts";
import { storeOf, type ValueStore } from "../../config/values.ts";
import { printable } from "../../lib/text.ts";
import type { Invocation } from "../command.ts";
import type { OptionValues } from "../options.ts";
import { gatewayUrls } from "../urls.ts";
import { renderTable, type Style, styleFor } from "../view/table.ts";
import { clientFiles, CLIENTS } from "./clients.ts";
import { requireClient, surroundingsOf } from "./connect.ts";
import { rewriteFile } from "./files.ts";
import { type Decision, type ImportOutcome, planImport } from "./import-plan.ts";
import {
  CredentialNames,
  moveSecrets,
  readImportSources,
  type Source,
  type SourceFile,
} from "./import-source.ts";
import {
  type CredentialsTarget,
  readCredentials,
  readTarget,
  serversOf,
  type Target,
  validateDraft,
  withCredentials,
  withServers,
} from "./import-target.ts";

/**
 * `mcproxy import [FILE]`: adds the servers of clients to the configuration. Shows what it would
 * add, and adds it with `--write`. Nothing that is there is overwritten.
 */
export async function run({ args: [file], options }: Invocation, io: Io): Promise<ExitCode> {
  const target = await readTarget(options, io);
  const store = await storeFor(options, io);
  const files = sourceFiles(file, options, io).filter(({ path }) => path !== target.path);
  const read = await Promise.all(files.map((one) => readImportSources(one, store)));
  const sources = read.flat();
  const decisions = planImport(sources, {
    existing: serversOf(target),
    urls: ownUrls(target, io),
    rename: options.rename === true,
  });
  const credentials = options.secrets === true ? await readCredentials(options, io) : undefined;
  const additions = addSecretsApart(decisions, credentials, io);
  const result = await change(target, additions, credentials, options, io);
  const report = reportOf({ target, sources, decisions, additions, credentials, ...result });
  await tell(report, { decisions, options, io });
  return sources.some(({ issues }) => issues.length > 0) ||
      decisions.some(({ verdict }) => verdict === "invalid")
    ? ExitCode.Config
    : ExitCode.Ok;
}

function sourceFiles(
  file: string | undefined,
  { from }: OptionValues,
  io: Io,
): readonly SourceFile[] {
  const client = from === undefined ? undefined : requireClient(from);
  if (file !== undefined) return [{ path: resolve(io.cwd, file), client, scope: "named" }];
  return clientFiles(client === undefined ? CLIENTS : [client], surroundingsOf(io));
}

/** What variables stand for. The gateway's own settings are not what is looked at here. */
async function storeFor({ credentials }: OptionValues, { env, cwd }: Io): Promise<ValueStore> {
  const own = Object.entries(env).filter(([name]) => !name.startsWith("MCPROXY_"));
  const { values } = await loadCredentials({ env, cwd, path: credentials });
  return { ...storeOf(Object.fromEntries(own)), credentials: values };
}

/** The addresses of the gateway of this configuration, and of one as it comes. */
function ownUrls({ value }: Target, { env }: Io): readonly string[] {
  const { port } = value;
  const own = typeof port === "number" ? { ...env, MCPROXY_PORT: String(port) } : env;
  return [
    gatewayUrls(undefined, env).mcp,
    gatewayUrls(undefined, own).mcp,
    gatewayUrls(undefined).mcp,
  ];
}

interface Additions {
  readonly servers: ReadonlyMap<string, unknown>;
  readonly credentials: ReadonlyMap<string, string>;
  /** Literal secrets by decision. */
  readonly secrets: ReadonlyMap<Decision, number>;
}

/** The entries to add; with somewhere to put secrets, without them. */
function addSecretsApart(
  decisions: readonly Decision[],
  target: CredentialsTarget | undefined,
  io: Io,
): Additions {
  const names = new CredentialNames(target?.values ?? new Map(), io.env);
  const servers = new Map<string, unknown>();
  const secrets = new Map<Decision, number>();
  for (const decision of decisions) {
    if (decision.verdict !== "add") continue;
    const moved = moveSecrets(decision.as, decision.found.entry, names);
    servers.set(decision.as, target === undefined ? decision.found.entry : moved.entry);
    secrets.set(decision, moved.count);
  }
  return { servers, secrets, credentials: target === undefined ? new Map() : names.added };
}

interface Change {
  readonly written: boolean;
  readonly backup: string | null;
}

/** Makes the new texts, also where they are not written: what cannot be is told at once. */
async function change(
  target: Target,
  additions: Additions,
  credentials: CredentialsTarget | undefined,
  options: OptionValues,
  io: Io,
): Promise<Change> {
  if (additions.servers.size === 0) return { written: false, backup: null };
  const text = await withServers(target, additions.servers);
  if (options.write !== true) return { written: false, backup: null };
  const secrets = credentials === undefined || additions.credentials.size === 0
    ? undefined
    : { ...credentials, text: await withCredentials(credentials, additions.credentials) };
  await validateDraft({ target, text, credentials: secrets }, options, io);
  // First: a configuration must not name what is not there yet.
  if (secrets !== undefined && credentials !== undefined) {
    await rewriteFile(secrets.path, secrets.text, { before: credentials.text });
  }
  const backup = await rewriteFile(target.path, text, { before: target.text });
  return { written: true, backup: backup ?? null };
}

function reportOf(
  { target, sources, decisions, additions, credentials, written, backup }: Change & {
    readonly target: Target;
    readonly sources: readonly Source[];
    readonly decisions: readonly Decision[];
    readonly additions: Additions;
    readonly credentials: CredentialsTarget | undefined;
  },
): ImportReport {
  const found = [...additions.secrets.values()].reduce((sum, count) => sum + count, 0);
  return {
    file: target.path,
    written,
    added: additions.servers.size,
    backup,
    sources: sources.map((source) => ({
      client: source.client?.name ?? null,
      file: source.file,
      project: source.project ?? null,
      servers: decisions.filter((one) => one.source === source)
        .map((one) => importedServer(one, additions.secrets.get(one) ?? 0)),
      issues: [...source.issues, ...source.servers.flatMap(({ issues }) => issues)],
    })),
    secrets: {
      found,
      moved: written && credentials !== undefined,
      file: credentials?.path ?? null,
    },
  };
}

interface Told {
  readonly decisions: readonly Decision[];
  readonly options: OptionValues;
  readonly io: Io;
}

async function tell(report: ImportReport, told: Told): Promise<void> {
  const { options, io } = told;
  if (options.json === true) {
    await say(io.stdout, `${JSON.stringify(report)}\n`);
    return;
  }
  const talk = styleFor({ isTerminal: io.stderr.isTerminal, env: io.env });
  for (const line of talkLines(report, told, talk)) await say(io.stderr, `${line}\n`);
  const style = styleFor({ isTerminal: io.stdout.isTerminal, env: io.env });
  const titles = new Map(CLIENTS.map(({ name, title }) => [name, title]));
  const lines = renderImport(report, { style, titles });
  await say(io.stdout, lines.map((line) => `${line}\n`).join(""));
}

function talkLines(
  { sources, secrets }: ImportReport,
  { decisions, options, io }: Told,
  style: Style,
): string[] {
  const line = (issue: ConfigIssue) => describeIssue(issue, io.cwd);
  const warnings = decisions.filter(({ verdict }) => verdict === "add")
    .flatMap(({ found }) => found.warnings.map((one) => style.warn(`warning: ${line(one)}`)));
  const conflicts = decisions.some(({ verdict }) => verdict === "conflict")
    ? [style.warn("warning: some names are taken; --rename adds those servers under other names")]
    : [];
  const literal = secrets.found > 0 && options.secrets !== true
    ? [
      style.warn(
        `warning: found ${secrets.found} literal secret${secrets.found === 1 ? "" : "s"}; ` +
          "--secrets moves them into the credentials file",
      ),
    ]
    : [];
  const issues = sources.flatMap((source) => source.issues.map((one) => style.bad(line(one))));
  return [...warnings, ...conflicts, ...literal, ...issues];
}

/** What `import` tells. Programs and origins are shown; arguments, paths and values never are. */

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
