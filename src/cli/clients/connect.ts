import { access } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname } from "node:path";
import process from "node:process";
import { ExitCode, failed, type Io, UsageError } from "../../app/io.ts";
import { configurationError } from "../../app/plan.ts";
import { lineIndex } from "../../config/document.ts";
import { describeKind } from "../../config/issue.ts";
import { storeOf } from "../../config/values.ts";
import { canonicalJson, isObject, type Json, type JsonObject, valueAt } from "../../lib/json.ts";
import { newKey } from "../../lib/secrets.ts";
import { didYouMean, suggest } from "../../lib/suggest.ts";
import { printable, quotedNames } from "../../lib/text.ts";
import type { Invocation, OptionValues } from "../command.ts";
import { namedGateway } from "../urls.ts";
import { printReport, renderTable, type Style } from "../view/table.ts";
import {
  type ClientApp,
  clientFiles,
  CLIENTS,
  ENTRY_NAME,
  findClient,
  isConnection,
  type Reach,
  type Surroundings,
} from "./clients.ts";
import { backupsOf, parseClientText, readClientFile, removeText, rewriteFile } from "./files.ts";
import { isSame, readImportSources } from "./import-source.ts";
import { readTarget, serversOf } from "./import-target.ts";
import { hashOfKey, putKey, readKeys } from "./keys-file.ts";
import { applyEdits, type Edit, putProperty } from "./json-text.ts";

/**
 * `mcproxy connect [CLIENT]`: puts the gateway into the configuration of a client, or takes it out
 * again. Shows what it would do, and does it with `--write`.
 */
export async function run({ args: [name], options }: Invocation, io: Io): Promise<ExitCode> {
  const surroundings = surroundingsOf(io);
  if (name === undefined) {
    if (options.write === true || options.undo === true) {
      throw new UsageError(`Cannot run "connect": CLIENT is missing; expected one of ${names()}`);
    }
    const clients = await Promise.all(CLIENTS.map((one) => stateOf(one, surroundings)));
    await printReport(io, options, { clients }, (style) => renderStates(clients, style));
    return ExitCode.Ok;
  }
  const client = requireClient(name);
  const path = await findFile(client, surroundings);
  const read = await readClientFile(path);
  if (!read.ok) throw configurationError(read.issues);
  const { text = "" } = read;
  const file: EditedFile = { client, path };
  const { mcp } = await namedGateway(options.url, io);
  // Of a profile, too; one server alone has no gate.
  const url = options.gated === true
    ? mcp.replace(/(?<!\/servers\/[^/]+)(\/(un)?gated)?\/mcp$/, "/gated/mcp")
    : mcp;
  const given = await keyFor(client, await readEntry(text, file), options, io);
  const reach = { url, command: commandOf(process), key: given?.key };
  const step = options.undo === true
    ? await planUndo(text, reach, file)
    : await planConnect(text, reach, file, options.replace === true);
  const backup = options.write === true ? await write(path, read.text, step, given) : undefined;
  // What a gateway elsewhere serves is not known here.
  const twice = options.undo === true || options.url !== undefined ? [] : await served(file, io);
  const report: ConnectReport = {
    client: client.name,
    file: path,
    action: step.action,
    written: options.write === true && step.action !== "none",
    backup: backup ?? null,
    key: given?.name ?? null,
    twice,
  };
  const render = (style: Style) => renderConnect(report, text, step.edits ?? [], style);
  await printReport(io, options, report, render);
  return ExitCode.Ok;
}

/** What becomes of a client's file. `restore`: a backup comes back; `delete`: it was ours alone. */
export type ConnectAction = "add" | "replace" | "remove" | "restore" | "delete" | "none";

/** What `connect --json` prints; part of the public contract. It contains no secret. */
export interface ConnectReport {
  readonly client: string;
  readonly file: string;
  readonly action: ConnectAction;
  readonly written: boolean;
  readonly backup: string | null;
  /** The name of the key that the client gets, or that is taken out with it. */
  readonly key: string | null;
  /** Entries of the file that the gateway serves as well. */
  readonly twice: readonly string[];
}

/** What is to become of a file; without a text nothing is written. */
interface Step extends Partial<Edited> {
  readonly action: ConnectAction;
}

/** A text, and how it came to be. */
interface Edited {
  readonly text: string;
  /** Offsets count from behind the byte order mark. */
  readonly edits: readonly Edit[];
}

/** The file that is edited. */
interface EditedFile {
  readonly client: ClientApp;
  /** Absolute, for messages and to tell the format. */
  readonly path: string;
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
  const hint = didYouMean(suggest(name, CLIENTS.map((one) => one.name)));
  throw new UsageError(`Unknown client ${JSON.stringify(name)}${hint}; expected one of ${names()}`);
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

/** The key of a client. */
interface ClientKey {
  /** What the client is given; undefined where it is to be disconnected. */
  readonly key: string | undefined;
  /** In the configuration, where that has it. */
  readonly name?: string;
  /** Has the configuration know it, or no longer know it. */
  readonly keep?: () => Promise<void>;
}

/**
 * The key to write into the file of a client. One that is named after the client and is in its file
 * is replaced; one of that name that is somebody else's stays, and the new one gets a number.
 */
async function keyFor(
  { name: client }: ClientApp,
  found: unknown,
  { url, undo }: OptionValues,
  io: Io,
): Promise<ClientKey | undefined> {
  if (url !== undefined) return { key: undo === true ? undefined : io.env["MCPROXY_KEY"] };
  // What is wrong with the configuration is said by who starts with it.
  const file = await readKeys({}, io).catch(() => undefined);
  const keys = file?.settings.auth?.keys;
  if (file === undefined || keys === undefined) return undefined;
  const old = await hashOfKey(keyIn(found) ?? "");
  const own = keys.find(({ name, hash }) =>
    `sha256:${hash}` === old && name.replace(/-\d+$/, "") === client
  )?.name;
  if (undo === true) {
    return own === undefined
      ? undefined
      : { key: undefined, name: own, keep: () => putKey(file, own, undefined) };
  }
  const names = [client, ...keys.keys().map((at) => `${client}-${at + 2}`)];
  const name = own ?? names.find((one) => !keys.some((other) => other.name === one))!;
  const key = newKey();
  return { key, name, keep: async () => await putKey(file, name, await hashOfKey(key)) };
}

function keyIn(entry: unknown): string | undefined {
  return /mcproxy_[\w-]{43}/.exec(JSON.stringify(entry) ?? "")?.[0];
}

/** Whether an entry is the one that is meant, with another key or none. */
function leadsThere(entry: unknown, { client }: EditedFile, reach: Reach): boolean {
  return entry !== undefined &&
    [undefined, keyIn(entry)].some((key) =>
      canonicalJson(client.entry({ ...reach, key })) === canonicalJson(entry)
    );
}

async function planConnect(
  text: string,
  reach: Reach,
  file: EditedFile,
  replace: boolean,
): Promise<Step> {
  const entry = file.client.entry(reach);
  const found = await readEntry(text, file);
  if (found === undefined) return { action: "add", ...await withEntry(text, entry, file) };
  if (canonicalJson(found) === canonicalJson(entry)) return { action: "none" };
  if (replace || leadsThere(found, file, reach)) {
    return { action: "replace", ...await withEntry(text, entry, file) };
  }
  const message = `Cannot connect ${JSON.stringify(file.client.title)}: found another entry ` +
    `"${ENTRY_NAME}" in ${JSON.stringify(file.path)}; expected none`;
  throw failed(message, { hint: "--replace puts the new one in its place" });
}

async function planUndo(text: string, reach: Reach, file: EditedFile): Promise<Step> {
  const entry = await readEntry(text, file);
  if (entry === undefined) return { action: "none" };
  if (!isConnection(entry)) {
    throw failed(
      `Cannot disconnect ${JSON.stringify(file.client.title)}: the entry "${ENTRY_NAME}" in ` +
        `${JSON.stringify(file.path)} leads to no gateway; expected one that connect has written`,
    );
  }
  // A backup that does not parse is from another time.
  const makes = async (from: string): Promise<boolean> => {
    // With an older key, or from before there were any: it goes as well.
    if (leadsThere(await readEntry(from, file).catch(() => undefined), file, reach)) return false;
    return await withEntry(from, entry as Json, file).then(
      (made) => made.text === text,
      () => false,
    );
  };
  // What connecting made of a backup is undone by that backup, to the byte.
  for (const backup of await backupsOf(file.path)) {
    if (backup !== text && await makes(backup)) return { action: "restore", text: backup };
  }
  if (await makes("")) return { action: "delete" };
  return { action: "remove", ...await withEntry(text, undefined, file) };
}

/** Servers of the file that are in the gateway's configuration, too: their tools are there twice. */
async function served({ client, path }: EditedFile, io: Io): Promise<readonly string[]> {
  // What is wrong with the configuration is said by who starts with it.
  const ours = await readTarget({}, io).then((one) => [...serversOf(one).values()], () => []);
  const sources = await readImportSources({ path, client, scope: "user" }, storeOf({}));
  const isOn = (entry: unknown) => isObject(entry) && entry["disabled"] !== true;
  return sources.flatMap(({ project, servers }) => project === undefined ? servers : [])
    .filter(({ entry }) => isOn(entry) && ours.some((one) => isOn(one) && isSame(one, entry)))
    .map(({ name }) => name);
}

async function write(
  path: string,
  before: string | undefined,
  { action, text }: Step,
  key: ClientKey | undefined,
): Promise<string | undefined> {
  if (action === "none") return undefined;
  await key?.keep?.();
  if (action === "delete" && before !== undefined) await removeText(path, before);
  return text === undefined ? undefined : await rewriteFile(path, text, before);
}

/** The file to write to: the first that is there, else the first that has a folder. */
async function findFile(client: ClientApp, surroundings: Surroundings): Promise<string> {
  const paths = clientFiles([client], surroundings)
    .filter(({ scope }) => scope === "user").map(({ path }) => path);
  for (const path of paths) if (await isThere(path)) return path;
  for (const path of paths) if (await isThere(dirname(path))) return path;
  const folders = paths.map((path) => JSON.stringify(dirname(path))).join(" or ");
  throw failed(
    `Cannot connect ${JSON.stringify(client.title)}: found no folder ${folders}; ` +
      "expected the client to have made it: start it once",
  );
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(() => true, () => false);
}

/** The gateway's entry in a file, if it has one. @throws {CliError} as {@link valueOf} */
async function readEntry(text: string, file: EditedFile): Promise<unknown> {
  return valueAt(await valueOf(text, file), [...file.client.section, ENTRY_NAME]);
}

/**
 * The text with the entry in place of the one that is there, or without one. What comes out is read
 * again: nothing but the entry may be different.
 * @throws {CliError}
 */
async function withEntry(text: string, entry: Json | undefined, file: EditedFile): Promise<Edited> {
  const { client, path } = file;
  const expected = JSON.parse(JSON.stringify(await valueOf(text, file))) as JsonObject;
  let section = expected;
  for (const key of client.section) section = (section[key] ??= {}) as JsonObject;
  if (entry === undefined) delete section[ENTRY_NAME];
  else section[ENTRY_NAME] = entry;
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : "";
  const body = text.slice(mark.length);
  const edits = await editsOf(body, entry, client);
  const result = applyEdits(body, edits);
  const parsed = result.trim() === ""
    ? {}
    : await parseClientText(result, path).then((one) => one.ok ? one.document.value : null);
  if (textOf(parsed, client) !== textOf(expected, client)) {
    const message = `Cannot edit ${JSON.stringify(path)}: its servers are written in a way that ` +
      "cannot be changed without rewriting them; expected to find " +
      `${client.section.join(".")} as other files have it`;
    throw failed(message, { hint: "The file was left as it is; edit it by hand" });
  }
  return { text: mark + result, edits };
}

async function editsOf(
  body: string,
  entry: Json | undefined,
  { format, section }: ClientApp,
): Promise<readonly Edit[]> {
  const path = [...section, ENTRY_NAME];
  if (format !== "toml") return putProperty(body, path, entry);
  const { putTable, removeTable } = await import("./toml.ts");
  return entry === undefined ? removeTable(body, path) : putTable(body, path, entry as JsonObject);
}

/** Empty sections count as absent: TOML has no place for them once their last table has gone. */
function textOf(value: unknown, { format, section: [section] }: ClientApp): string {
  if (format !== "toml") return JSON.stringify(value);
  return JSON.stringify(
    value,
    (key, inner: unknown) =>
      key === section && isObject(inner) && Object.keys(inner).length === 0 ? undefined : inner,
  );
}

/** @throws {CliError} exit code 3 where a file does not parse or its section is no object */
async function valueOf(text: string, { client, path }: EditedFile): Promise<JsonObject> {
  if (text.replace("\uFEFF", "").trim() === "") return {};
  const parsed = await parseClientText(text, path);
  if (!parsed.ok) throw configurationError(parsed.issues);
  const { document } = parsed;
  for (const depth of client.section.keys()) {
    const keys = client.section.slice(0, depth + 1);
    const found = valueAt(document.value, keys);
    if (found === undefined || isObject(found)) continue;
    const message = `found ${describeKind(found)}, expected an object of servers`;
    const issue = { file: path, ...document.position(keys), path: keys.join("."), message };
    throw configurationError([issue]);
  }
  return document.value as JsonObject;
}

/** What `connect` tells of a client without changing anything. */
async function stateOf(client: ClientApp, surroundings: Surroundings) {
  const { name } = client;
  const path = await findFile(client, surroundings).catch(() => undefined);
  if (path === undefined) return { client: name, file: null, state: "not found" };
  const read = await readClientFile(path);
  if (!read.ok) return { client: name, file: path, state: "unreadable" };
  const state = await readEntry(read.text ?? "", { client, path }).then(
    (entry) => isConnection(entry) ? "connected" : "not connected",
    () => "invalid",
  );
  return { client: name, file: path, state };
}

function renderStates(
  states: readonly Awaited<ReturnType<typeof stateOf>>[],
  style: Style,
): string[] {
  const rows = states.map(({ client, state, file }) => [
    { text: client, paint: style.name },
    { text: state, paint: state === "connected" ? style.good : style.dim },
    file ?? "",
  ]);
  return renderTable(["CLIENT", "STATE", "FILE"], rows, { style });
}

const CONNECTED = "is connected; restart it to see the tools";
const DONE: Readonly<Record<ConnectAction, string>> = {
  add: CONNECTED,
  replace: CONNECTED,
  remove: "is disconnected; the entry was taken out",
  restore: "is disconnected; the file is as it was before",
  delete: "is disconnected; the file had nothing else and was removed",
  none: "",
};

/** The report for people: the lines that change, and no others, since those may hold secrets. */
function renderConnect(
  { client, file, action, written, backup, key, twice }: ConnectReport,
  before: string,
  edits: readonly Edit[],
  style: Style,
): string[] {
  const { title, remover, note } = findClient(client)!;
  const way = remover === undefined ? "by hand" : `with "${remover} NAME"`;
  const doubled = `The gateway serves these as well; take them out ${way}: ${quotedNames(twice)}`;
  const advice = twice.length === 0 ? [] : [style.warn(printable(doubled))];
  if (note !== undefined && DONE[action] === CONNECTED) advice.push(style.warn(note));
  if (action === "none") return [`${title}: nothing to do in ${printable(file)}`, ...advice];
  return [
    style.bold(printable(file)),
    ...(action === "add" ? [] : [style.bad(`-  "${ENTRY_NAME}"`)]),
    ...addedLines(before, edits, style),
    "",
    written
      ? style.good(`${title} ${DONE[action]}`)
      : "Nothing was written; the same with --write does it",
    ...(written && key !== null ? [style.dim(`Key: ${key}`)] : []),
    ...(backup === null ? [] : [style.dim(`Backup: ${printable(backup)}`)]),
    ...advice,
  ];
}

/** The new lines with their numbers in the file as it is. */
function addedLines(before: string, edits: readonly Edit[], style: Style): string[] {
  const locate = lineIndex(before.replace(/^\uFEFF/, ""));
  return edits.filter(({ content }) => content.trim().length > 1).flatMap(({ offset, content }) => {
    const lines = content.replace(/^,/, "").split(/\r\n|\n|\r/).filter((line) =>
      line.trim() !== ""
    );
    return [
      style.dim(`@@ line ${locate(offset).line}`),
      ...lines.map((line) => style.good(`+  ${printable(withoutSecrets(line))}`)),
    ];
  });
}

/** The key, and user and password of an address, are for the file only. */
function withoutSecrets(line: string): string {
  return line.replaceAll(/(?<=Bearer |MCPROXY_KEY"?\s*[:=]\s*")[^"]+/g, "***")
    .replaceAll(/:\/\/[^/@\s"]+@/g, "://***@");
}
