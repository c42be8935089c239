import { access } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname } from "node:path";
import process from "node:process";
import { CliError, ExitCode, type Io, say, UsageError } from "../../app/io.ts";
import { configurationError } from "../../app/plan.ts";
import { lineIndex } from "../../config/document.ts";
import { canonicalJson, type Json } from "../../lib/json.ts";
import { suggest } from "../../lib/suggest.ts";
import { printable } from "../../lib/text.ts";
import type { Invocation } from "../command.ts";
import { gatewayUrls } from "../urls.ts";
import { renderTable, type Style, styleFor } from "../view/table.ts";
import {
  type ClientApp,
  clientFiles,
  CLIENTS,
  ENTRY_NAME,
  findClient,
  isConnection,
  type Surroundings,
} from "./clients.ts";
import {
  type EditContext,
  type Edited,
  readEntry,
  withEntry,
  withoutEntry,
} from "./connect-edit.ts";
import { backupsOf, readClientFile, removeText, rewriteFile } from "./files.ts";
import type { Edit } from "./json-text.ts";

/**
 * `mcproxy connect [CLIENT]`: puts the gateway into the configuration of a client, or takes it out
 * again. Shows what it would do, and does it with `--write`.
 */
export async function run({ args: [name], options }: Invocation, io: Io): Promise<ExitCode> {
  const surroundings = surroundingsOf(io);
  const json = options.json === true;
  if (name === undefined) {
    if (options.write === true || options.undo === true) {
      throw new UsageError(`Cannot run "connect": CLIENT is missing; expected one of ${names()}`);
    }
    await showClients(surroundings, io, json);
    return ExitCode.Ok;
  }
  const client = requireClient(name);
  const path = await findFile(client, surroundings);
  const read = await readClientFile(path);
  if (!read.ok) throw configurationError(read.issues, io.cwd);
  const context: EditContext = { client, path, cwd: io.cwd };
  const reach = { url: gatewayUrls(options.url, io.env).mcp, command: commandOf(process) };
  const step = options.undo === true
    ? await planUndo(read.text, context)
    : await planConnect(read.text, client.entry(reach), context, options.replace === true);
  const backup = options.write === true ? await write(path, read.text, step) : undefined;
  const report: ConnectReport = {
    client: client.name,
    file: path,
    action: step.action,
    written: options.write === true && step.action !== "none",
    backup: backup ?? null,
  };
  if (json) await say(io.stdout, `${JSON.stringify(report)}\n`);
  else {
    const style = styleFor({ isTerminal: io.stdout.isTerminal, env: io.env });
    const lines = renderConnect(report, step, client, style);
    await say(io.stdout, lines.map((line) => `${line}\n`).join(""));
  }
  return ExitCode.Ok;
}

/** What is to become of a file. */
export interface Step extends Partial<Edited> {
  readonly action: ConnectAction;
  /** The text it is about, without its byte order mark. */
  readonly before: string;
}

/** Where the clients' files are looked for; `HOME` of the environment comes first. */
export function surroundingsOf({ env, cwd }: Pick<Io, "env" | "cwd">): Surroundings {
  const { platform } = process;
  const home = (platform === "win32" ? env["USERPROFILE"] : env["HOME"]) || homedir();
  return { platform, env, cwd, home };
}

/** The client of this name. @throws {UsageError} */
export function requireClient(name: string): ClientApp {
  const client = findClient(name);
  if (client !== undefined) return client;
  const near = suggest(name, CLIENTS.map((one) => one.name));
  throw new UsageError(
    `Unknown client ${JSON.stringify(name)}${
      near === undefined ? "" : ` (did you mean "${near}"?)`
    }; expected one of ${names()}`,
  );
}

function names(): string {
  return CLIENTS.map(({ name }) => name).join(", ");
}

/** How a client starts this program: the binary itself, or a runtime with the source. */
export function commandOf(
  { execPath, argv }: { readonly execPath: string; readonly argv: readonly string[] },
): readonly [string, ...string[]] {
  const runtime = /^(deno|bun)(\.exe)?$/i.exec(basename(execPath.replaceAll("\\", "/")))?.[1];
  const script = argv[1] ?? "main.ts";
  if (runtime === undefined) return [execPath];
  return runtime.toLowerCase() === "deno"
    ? [execPath, "run", "--quiet", "-A", script]
    : [execPath, script];
}

async function planConnect(
  text: string | undefined,
  entry: Json,
  context: EditContext,
  replace: boolean,
): Promise<Step> {
  const before = (text ?? "").replace(/^\uFEFF/, "");
  const found = await readEntry(text ?? "", context);
  if (found !== undefined && canonicalJson(found) === canonicalJson(entry)) {
    return { action: "none", before };
  }
  if (found !== undefined && !replace) {
    throw new CliError(
      ExitCode.Failed,
      `Cannot connect ${JSON.stringify(context.client.title)}: found another entry ` +
        `"${ENTRY_NAME}" in ${JSON.stringify(context.path)}; expected none`,
      { hint: "--replace puts the new one in its place" },
    );
  }
  const action = found === undefined ? "add" : "replace";
  return { action, before, ...await withEntry(text ?? "", entry, context) };
}

async function planUndo(text: string | undefined, context: EditContext): Promise<Step> {
  const before = (text ?? "").replace(/^\uFEFF/, "");
  const entry = await readEntry(text ?? "", context);
  if (text === undefined || entry === undefined) return { action: "none", before };
  if (!isConnection(entry)) {
    throw new CliError(
      ExitCode.Failed,
      `Cannot disconnect ${JSON.stringify(context.client.title)}: the entry "${ENTRY_NAME}" in ` +
        `${
          JSON.stringify(context.path)
        } leads to no gateway; expected one that connect has written`,
    );
  }
  // What connecting made of a backup is undone by that backup, to the byte.
  for (const backup of await backupsOf(context.path)) {
    if (backup.text !== text && await makes(backup.text, entry as Json, text, context)) {
      return { action: "restore", before, text: backup.text };
    }
  }
  if (await makes("", entry as Json, text, context)) return { action: "delete", before };
  return { action: "remove", before, ...await withoutEntry(text, context) };
}

async function makes(from: string, entry: Json, to: string, context: EditContext) {
  try {
    return (await withEntry(from, entry, context)).text === to;
  } catch {
    // A backup that does not parse is from another time.
    return false;
  }
}

async function write(
  path: string,
  before: string | undefined,
  { action, text }: Step,
): Promise<string | undefined> {
  if (action === "delete" && before !== undefined) await removeText(path, before);
  if (text === undefined) return undefined;
  return await rewriteFile(path, text, { before });
}

/** The file to write to: the first that is there, else the first that has a folder. */
async function findFile(client: ClientApp, surroundings: Surroundings): Promise<string> {
  const paths = clientFiles([client], surroundings)
    .filter(({ scope }) => scope === "user").map(({ path }) => path);
  for (const path of paths) if (await isThere(path)) return path;
  for (const path of paths) if (await isThere(dirname(path))) return path;
  throw new CliError(
    ExitCode.Failed,
    `Cannot connect ${JSON.stringify(client.title)}: found no folder ${
      paths.map((path) => JSON.stringify(dirname(path))).join(" or ")
    }; expected the client to have made it: start it once`,
  );
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(() => true, () => false);
}

async function showClients(surroundings: Surroundings, io: Io, json: boolean): Promise<void> {
  const rows = await Promise.all(CLIENTS.map(async (client) => {
    const path = await findFile(client, surroundings).catch(() => undefined);
    if (path === undefined) return { client: client.name, file: null, state: "not found" };
    return { client: client.name, file: path, state: await stateOf(client, path, io.cwd) };
  }));
  if (json) {
    await say(io.stdout, `${JSON.stringify({ clients: rows })}\n`);
    return;
  }
  const style = styleFor({ isTerminal: io.stdout.isTerminal, env: io.env });
  const lines = renderTable(
    [{ title: "CLIENT" }, { title: "STATE" }, { title: "FILE" }],
    rows.map(({ client, state, file }) => [
      { text: client, paint: style.name },
      { text: state, paint: state === "connected" ? style.good : style.dim },
      file ?? "",
    ]),
    { style },
  );
  await say(io.stdout, lines.map((line) => `${line}\n`).join(""));
}

async function stateOf(client: ClientApp, path: string, cwd: string): Promise<string> {
  const read = await readClientFile(path);
  if (!read.ok) return "unreadable";
  try {
    const entry = await readEntry(read.text ?? "", { client, path, cwd });
    return isConnection(entry) ? "connected" : "not connected";
  } catch {
    return "invalid";
  }
}

/** What `connect` tells: the lines that change, and no others, since those may hold secrets. */

/** What becomes of a client's file. `restore`: a backup comes back; `delete`: it was ours alone. */
export type ConnectAction = "add" | "replace" | "remove" | "restore" | "delete" | "none";

/** What `connect --json` prints; part of the public contract. It contains no secret. */
export interface ConnectReport {
  readonly client: string;
  readonly file: string;
  readonly action: ConnectAction;
  readonly written: boolean;
  readonly backup: string | null;
}

/** The report for people. */
export function renderConnect(
  { file, action, written, backup }: ConnectReport,
  { before, edits = [] }: { readonly before: string; readonly edits?: readonly Edit[] },
  { title }: ClientApp,
  style: Style,
): string[] {
  if (action === "none") return [`${title}: nothing to do in ${printable(file)}`];
  const changed = action === "add" || action === "replace" ? addedLines(before, edits, style) : [];
  const gone = action === "add" ? [] : [style.bad(`-  "${ENTRY_NAME}"`)];
  const what: Record<Exclude<ConnectAction, "none">, string> = {
    add: `${title} is connected; restart it to see the tools`,
    replace: `${title} is connected; restart it to see the tools`,
    remove: `${title} is disconnected; the entry was taken out`,
    restore: `${title} is disconnected; the file is as it was before`,
    delete: `${title} is disconnected; the file had nothing else and was removed`,
  };
  const verdict = written
    ? style.good(what[action])
    : "Nothing was written; the same with --write does it";
  return [
    style.bold(printable(file)),
    ...gone,
    ...changed,
    "",
    verdict,
    ...(backup === null ? [] : [style.dim(`Backup: ${printable(backup)}`)]),
  ];
}

/** The new lines with their numbers in the file as it is. */
function addedLines(before: string, edits: readonly Edit[], style: Style): string[] {
  const locate = lineIndex(before);
  return edits.filter(({ content }) => content.trim().length > 1).flatMap(({ offset, content }) => {
    const lines = content.replace(/^,/, "").split(/\r\n|\n|\r/).filter((line) =>
      line.trim() !== ""
    );
    return [
      style.dim(`@@ line ${locate(offset).line}`),
      ...lines.map((line) => style.good(`+  ${printable(withoutUser(line))}`)),
    ];
  });
}

/** User and password of an address are for the file only. */
function withoutUser(line: string): string {
  return line.replaceAll(/:\/\/[^/@\s"]+@/g, "://***@");
}
