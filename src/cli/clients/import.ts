import { resolve } from "node:path";
import { describeIssue } from "../../app/configuration.ts";
import { ExitCode } from "../../app/exit.ts";
import { type Io, say } from "../../app/io.ts";
import { loadCredentials } from "../../config/credentials.ts";
import type { ConfigIssue } from "../../config/issue.ts";
import { storeOf, type ValueStore } from "../../config/lookup.ts";
import type { Invocation } from "../commands.ts";
import type { OptionValues } from "../options.ts";
import { gatewayUrls } from "../urls.ts";
import { type Style, styleFor } from "../view/style.ts";
import { clientFiles, CLIENTS } from "./clients.ts";
import { requireClient, surroundingsOf } from "./connect.ts";
import { rewriteFile } from "./files.ts";
import { type Decision, planImport } from "./import-plan.ts";
import { CredentialNames, moveSecrets } from "./import-secrets.ts";
import { readImportSources, type Source, type SourceFile } from "./import-source.ts";
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
import { importedServer, type ImportReport, renderImport } from "./import-view.ts";

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
