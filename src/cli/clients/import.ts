import { resolve } from "node:path";
import { ExitCode, type Io, say } from "../../app/io.ts";
import { formatIssue } from "../../config/issue.ts";
import { loadCredentials } from "../../config/credentials.ts";
import type { RawObject } from "../../config/document.ts";
import { looksSecret, secretsOfUrl } from "../../config/secrets.ts";
import { storeOf, type ValueStore } from "../../config/values.ts";
import { plural, printable, sanitizeName } from "../../lib/text.ts";
import type { Invocation, OptionValues } from "../command.ts";
import { gatewayUrls, ownAddress } from "../urls.ts";
import { printReport, renderTable, type Style, styleFor } from "../view/table.ts";
import { clientFiles, CLIENTS, findClient, leadsToGateway } from "./clients.ts";
import { requireClient, surroundingsOf } from "./connect.ts";
import { rewriteFile } from "./files.ts";
import {
  type FoundServer,
  isSame,
  readImportSources,
  type Source,
  type SourceFile,
} from "./import-source.ts";
import {
  addTo,
  CredentialNames,
  type CredentialsTarget,
  moveSecrets,
  readCredentials,
  readTarget,
  serversOf,
  type Target,
  validateDraft,
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
  const found = await Promise.all(files.map((one) => readImportSources(one, store)));
  const credentials = options.secrets === true ? await readCredentials(options, io) : undefined;
  const names = new CredentialNames(credentials?.values ?? new Map(), io.env);
  const plan = { urls: await ownUrls(target, io), rename: options.rename === true, names };
  const sources = planImport(found.flat(), serversOf(target), plan);
  const servers = sources.flatMap((source) => source.servers);
  const added = servers.filter(({ verdict }) => verdict === "add");
  const entries = new Map(
    added.map(({ as, entry, moved }) => [as, credentials === undefined ? entry : moved]),
  );
  const backup = await change(target, entries, credentials, names, options, io);
  const isWritten = added.length > 0 && options.write === true;
  const report: ImportReport = {
    file: target.path,
    written: isWritten,
    added: added.length,
    backup: backup ?? null,
    sources: sources.map(reportOf),
    secrets: {
      found: added.reduce((sum, { secrets }) => sum + secrets, 0),
      moved: isWritten && credentials !== undefined,
      file: credentials?.path ?? null,
    },
  };
  if (options.json !== true) {
    const talk = styleFor({ isTerminal: io.stderr.isTerminal, env: io.env });
    for (const line of talkLines(report, servers, options, talk)) await say(io.stderr, `${line}\n`);
  }
  await printReport(io, options, report, (style) => renderImport(report, style));
  return sources.some(({ issues }) => issues.length > 0) ||
      servers.some(({ verdict }) => verdict === "invalid")
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
async function ownUrls({ path }: Target, { env, cwd }: Io): Promise<readonly string[]> {
  const said = await ownAddress({ env: {}, cwd }, path);
  return [env, said.env, { ...env, ...said.env }, {}].map((one) => gatewayUrls(undefined, one).mcp);
}

/**
 * Makes the new texts, also where they are not written: what cannot be is told at once. Returns the
 * path of the backup.
 */
async function change(
  target: Target,
  servers: ReadonlyMap<string, RawObject>,
  credentials: CredentialsTarget | undefined,
  { added }: CredentialNames,
  options: OptionValues,
  io: Io,
): Promise<string | undefined> {
  if (servers.size === 0) return undefined;
  const text = await withServers(target, servers);
  if (options.write !== true) return undefined;
  const secrets = credentials === undefined || added.size === 0
    ? undefined
    : { ...credentials, before: credentials.text, text: await addTo(credentials, [], added) };
  await validateDraft(target, text, secrets, options, io);
  // First: a configuration must not name what is not there yet.
  if (secrets !== undefined) await rewriteFile(secrets.path, secrets.text, secrets.before);
  return await rewriteFile(target.path, text, target.text);
}

/** What becomes of a server; only those to `add` are written. */
type ImportOutcome = "add" | "known" | "conflict" | "gateway" | "invalid";

/** A server and what becomes of it. */
interface PlannedServer extends FoundServer {
  readonly verdict: ImportOutcome;
  /** The name it is added under. */
  readonly as: string;
  /** Literal secrets in it; counted in what is added. */
  readonly secrets: number;
  /** The entry without them. */
  readonly moved: RawObject;
}

interface PlanOptions {
  /** Addresses of this gateway: what leads to them is not added. */
  readonly urls: readonly string[];
  /** Whether a server whose name is taken gets another one; otherwise it is left out. */
  readonly rename: boolean;
  readonly names: CredentialNames;
}

/**
 * Decides in the order of the sources; of two servers of one name the first counts. `existing` are
 * the servers that are there, in our terms.
 */
function planImport(
  sources: readonly Source[],
  existing: ReadonlyMap<string, unknown>,
  { urls, rename, names }: PlanOptions,
): readonly Source<PlannedServer>[] {
  // Names that are the same in exposed names cannot stand in one configuration.
  const taken = new Map<string, unknown>();
  for (const [name, entry] of existing) taken.set(sanitizeName(name), entry);
  const plan = (found: FoundServer, source: Source): PlannedServer => {
    const { name, entry } = found;
    const base = { ...found, as: name, secrets: 0, moved: entry };
    const leave = (verdict: ImportOutcome): PlannedServer => ({ ...base, verdict });
    if (leadsToGateway(entry, urls)) return leave("gateway");
    if (found.server === undefined) return leave("invalid");
    const same = taken.get(sanitizeName(name));
    if (same !== undefined && isSame(same, entry)) return leave("known");
    if (same !== undefined && !rename) return leave("conflict");
    const as = same === undefined ? name : freeName(name, source, taken, entry);
    if (as === undefined) return leave("known");
    taken.set(sanitizeName(as), entry);
    const { entry: moved, count: secrets } = moveSecrets(as, entry, names);
    return { ...found, verdict: "add", as, secrets, moved };
  };
  return sources.map((source) => ({
    ...source,
    servers: source.servers.map((found) => plan(found, source)),
  }));
}

/** `github-cursor`, `github-cursor-2`, …; undefined where the server has such a name already. */
function freeName(
  name: string,
  { client }: Source,
  taken: ReadonlyMap<string, unknown>,
  entry: RawObject,
): string | undefined {
  const base = `${name}-${client?.name ?? "imported"}`;
  for (let count = 1;; count++) {
    const candidate = count === 1 ? base : `${base}-${count}`;
    const other = taken.get(sanitizeName(candidate));
    if (other === undefined) return candidate;
    if (isSame(other, entry)) return undefined;
  }
}

/** What `import --json` prints; part of the public contract. It contains no secret. */
interface ImportReport {
  /** The configuration that is added to. */
  readonly file: string;
  readonly written: boolean;
  /** Servers that were added, or would be. */
  readonly added: number;
  readonly backup: string | null;
  readonly sources: readonly ReturnType<typeof reportOf>[];
  /** Literal secrets in the servers to add; moved with `--secrets`, else left where they are. */
  readonly secrets: {
    readonly found: number;
    readonly moved: boolean;
    readonly file: string | null;
  };
}

/** Programs and origins are shown; arguments, paths and values never are. */
function reportOf({ client, file, project, servers, issues }: Source<PlannedServer>) {
  return {
    client: client?.name ?? null,
    file,
    project: project ?? null,
    servers: servers.map((server) => ({
      name: server.name,
      as: server.as,
      transport: transportOf(server),
      target: targetOf(server.entry),
      verdict: server.verdict,
      secrets: server.secrets,
    })),
    issues: [...issues, ...servers.flatMap((server) => server.issues)],
  };
}

function transportOf({ entry, server }: FoundServer): string {
  const target = server?.instances[0];
  if (target === undefined) return "command" in entry ? "stdio" : "http";
  if (target.kind === "stdio") return "stdio";
  return target.transport === "auto" ? "http" : target.transport;
}

function targetOf({ image, command = image, url, urls }: RawObject): string {
  if (typeof command === "string") return looksSecret("", command) ? "" : command;
  const first: unknown = url ?? (Array.isArray(urls) ? urls[0] : undefined);
  if (typeof first !== "string") return "";
  const parsed = URL.parse(first);
  // What an origin of another scheme than http is, is not known.
  if (parsed !== null && parsed.origin !== "null") return parsed.origin;
  return secretsOfUrl(first).length > 0 || parsed !== null ? "" : first.replace(/[?#].*$/s, "");
}

/** What is said on stderr beside the report. */
function talkLines(
  { sources, secrets: { found } }: ImportReport,
  servers: readonly PlannedServer[],
  options: OptionValues,
  style: Style,
): string[] {
  const warnings = servers.filter(({ verdict }) => verdict === "add")
    .flatMap((server) => server.warnings.map(formatIssue));
  if (servers.some(({ verdict }) => verdict === "conflict")) {
    warnings.push("some names are taken; --rename adds those servers under other names");
  }
  if (found > 0 && options.secrets !== true) {
    warnings.push(
      `found ${plural(found, "literal secret")}; --secrets moves them into the credentials file`,
    );
  }
  return [
    ...warnings.map((text) => style.warn(`warning: ${text}`)),
    ...sources.flatMap(({ issues }) => issues.map((one) => style.bad(formatIssue(one)))),
  ];
}

const WHY: Readonly<Record<ImportOutcome, string>> = {
  add: "add",
  known: "there already",
  conflict: "left out: another server has this name",
  gateway: "left out: this is the gateway itself",
  invalid: "left out: it is invalid",
};

/** What the reader may want to do something about. */
const BAD: ReadonlySet<ImportOutcome> = new Set(["conflict", "invalid"]);

/** The report for people. */
function renderImport(report: ImportReport, style: Style): string[] {
  const blocks = report.sources.filter(({ servers }) => servers.length > 0)
    .flatMap((source) => [...sourceLines(source, style), ""]);
  return [...blocks, ...verdictLines(report, style)];
}

function sourceLines(
  { client, file, project, servers }: ImportReport["sources"][number],
  style: Style,
): string[] {
  const title = client === null ? undefined : findClient(client)?.title;
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
      paint: verdict === "add" ? style.good : BAD.has(verdict) ? style.warn : style.dim,
    },
  ]);
  const [, ...lines] = renderTable(Array(4).fill({ title: "" }), rows, { style });
  return [heading, ...lines.map((line) => `  ${line}`)];
}

function verdictLines(
  { file, written, added, backup, secrets, sources }: ImportReport,
  style: Style,
): string[] {
  const servers = plural(added, "server");
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
      ? [`${plural(secrets.found, "literal secret")} moved to ${printable(secrets.file)}`]
      : []),
  ];
}
