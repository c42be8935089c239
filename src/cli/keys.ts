/** `mcproxy keys`: who has a key to the gateway. The configuration has the hashes alone. */

import { ExitCode, failed, type Io, say, UsageError } from "../app/io.ts";
import { isObject } from "../lib/json.ts";
import { newKey } from "../lib/secrets.ts";
import { suggest } from "../lib/suggest.ts";
import { quotedNames } from "../lib/text.ts";
import { longDuration } from "./args.ts";
import { readAll } from "./call.ts";
import { hashOfKey, putKey, readKeys } from "./clients/keys-file.ts";
import type { Invocation, OptionValues } from "./command.ts";
import { remoteCaller } from "./remote.ts";
import { gatewayUrls, ownAddress } from "./urls.ts";
import { printReport, renderTable, styleFor } from "./view/table.ts";

/** What is printed: the one with `--json`, the other without. */
type Told = readonly [data: Readonly<Record<string, unknown>>, text: string];

type Action = (name: string, options: OptionValues, io: Io) => Promise<Told>;

const CONNECT = "To give a client a key of its own:\n  mcproxy connect CLIENT --write";

const LAST = '\nIt was the last one. Where everybody may get in, take "auth" out as well';

const ACTIONS: Readonly<Record<string, Action>> = { add, list, remove, hash };

/** `mcproxy keys add NAME`, `list`, `remove NAME` and `hash`. */
export async function run({ args, options }: Invocation, io: Io): Promise<ExitCode> {
  const [action = "", name = ""] = args;
  const isNamed = action === "add" || action === "remove";
  if (!Object.hasOwn(ACTIONS, action) || isNamed !== (name !== "")) {
    throw new UsageError(
      `Cannot run "keys ${args.join(" ")}": expected add NAME, list, remove NAME or hash`,
      'Run "mcproxy help keys" for usage',
    );
  }
  const [data, text] = await ACTIONS[action]!(name, options, io);
  await printReport(io, options, data, () => [text]);
  return ExitCode.Ok;
}

async function add(name: string, options: OptionValues, io: Io): Promise<Told> {
  const file = await readKeys(options, io);
  const { path, settings: { auth, publicUrl } } = file;
  if (auth?.keys?.some((one) => one.name === name)) {
    const message = `Cannot add the key "${name}": found one of this name; expected a new name`;
    const hint = `"mcproxy keys remove ${name}" takes that one out`;
    throw failed(message, { hint });
  }
  const key = newKey();
  const hash = await hashOfKey(key);
  const expires = options.expires === undefined ? undefined : endOf(options.expires);
  await putKey(file, name, expires === undefined ? hash : { hash, expires });
  const url = gatewayUrls(publicUrl, (await ownAddress(io, options.config)).env).mcp;
  const isFirst = auth === undefined;
  const lines = [
    `Key "${name}" is in ${path}; nobody can show it again. With MCPROXY_KEY set to it:`,
    `  claude mcp add --transport http mcproxy ${url} --header "Authorization: Bearer $MCPROXY_KEY"`,
    ...isFirst ? ["It is the first one: nobody gets in without a key any more.", CONNECT] : [],
  ];
  await say(io.stderr, `${lines.join("\n")}\n`);
  return [{ name, key, file: path, expires: expires ?? null, first: isFirst }, key];
}

/** As the configuration has it: `90d` is counted from now. */
function endOf(text: string): string {
  const ms = longDuration(text);
  return ms === undefined ? text : new Date(Date.now() + ms).toISOString().replace(/\.\d+/, "");
}

async function list(_: string, options: OptionValues, io: Io): Promise<Told> {
  const { path, settings: { auth } } = await readKeys(options, io);
  // What a gateway that runs does not tell this user is no reason to list none.
  const gateway = await remoteCaller(options, io).catch(() => undefined);
  const { keys: used } = await gateway?.api("GET", "keys").catch(() => undefined) ?? {};
  const uses = (Array.isArray(used) ? used : []).filter(isObject);
  const keys = (auth?.keys ?? []).map(({ name, expires = Infinity }) => ({
    name,
    expires: expires === Infinity ? null : new Date(expires).toISOString(),
    expired: expires <= Date.now(),
    lastUse: uses.find((one) => one.name === name)?.lastUse ?? null,
  }));
  const data = { file: path, keys };
  if (keys.length === 0) return [data, `${path} has no keys`];
  const rows = keys.map(({ name, expires, expired, lastUse }) => [
    name,
    expired ? `${expires} has expired` : expires ?? "never",
    String(lastUse ?? ""),
  ]);
  const style = styleFor({ isTerminal: io.stdout.isTerminal, env: io.env });
  return [data, renderTable(["NAME", "EXPIRES", "LAST USE"], rows, { style }).join("\n")];
}

async function remove(name: string, options: OptionValues, io: Io): Promise<Told> {
  const file = await readKeys(options, io);
  const { path, settings: { auth } } = file;
  const names = auth?.keys?.map((one) => one.name) ?? [];
  if (!names.includes(name)) {
    const near = suggest(name, names);
    const hint = near ? `Did you mean "${near}"?` : `Found: ${quotedNames(names) || "none"}`;
    throw failed(`Cannot find the key "${name}" in ${path}`, { hint });
  }
  await putKey(file, name, undefined);
  const left = names.length - 1;
  const last = left > 0 ? "" : LAST;
  return [{ name, file: path, left }, `Key "${name}" was taken out of ${path}${last}`];
}

async function hash(_: string, _options: OptionValues, { stdin }: Io): Promise<Told> {
  const key = (await readAll(stdin)).trim();
  if (key.length < 20) {
    const message = "Cannot hash what stdin has: expected a random key of at least 20 characters";
    throw new UsageError(message, "mcproxy keys add makes one");
  }
  const text = await hashOfKey(key);
  return [{ hash: text }, text];
}
