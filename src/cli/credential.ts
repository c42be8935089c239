/** What a command shows the gateway it asks, and what is said where that does not let it in. */

import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { CliError, ExitCode, failed, type Io, UsageError } from "../app/io.ts";
import { localKeyFile } from "../app/local-key.ts";
import { readText } from "../config/files.ts";
import { type AuthConfig, plainTarget } from "../config/types.ts";
import { isReadableByOthers, stateDirectory } from "../lib/own-file.ts";
import { parsedObject, valueAt } from "../lib/json.ts";
import { isLoopback, snippet } from "../lib/text.ts";
import { LOCAL } from "../protocol/exchange.ts";
import { loginAddress } from "../protocol/issuer.ts";
import type { ServerCredential } from "../upstream/transport/transport.ts";

/** What this user shows one gateway. */
export type Credential = ReturnType<typeof credentialFor>;

/** Where the state of a gateway is that systemd runs. */
const SYSTEM_STATE = "/var/lib/mcproxy";

/** The state of gateways here: of one that this user runs, and of that. */
function stateDirectories(env: Io["env"]): readonly string[] {
  return [stateDirectory(env) ?? SYSTEM_STATE, SYSTEM_STATE];
}

/** Whose file tells where a gateway has run. */
const PINS = "pins.json";

/**
 * Where the gateway of this machine keeps its state; `owner` is the user it runs as, by id, where
 * root acts for it.
 */
export function gatewayState(env: Io["env"]) {
  // Who says where it is means nothing else.
  const directories = stateDirectories(env).slice(0, env["STATE_DIRECTORY"] ? 1 : 2);
  const isIn = (file: string) => directories.find((one) => existsSync(join(one, file)));
  const directory = isIn(PINS) ?? isIn("grants.json") ?? directories[0]!;
  const ownerOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.uid;
  const isRoot = process.getuid?.() === 0;
  return {
    directory,
    owner: isRoot ? ownerOf(join(directory, PINS)) ?? ownerOf(directory) : undefined,
  };
}

/** The id of who is called so, by people or by the audit. @throws {CliError} for nobody of `auth` */
export function principalCalled(
  who: string,
  { keys = [], issuers = [], proxy }: Partial<AuthConfig> = {},
): string {
  const fixed = [LOCAL.id, ...keys.map(({ name }) => `key:${name}`)];
  const told = issuers.flatMap(({ issuer, as = "", name = "sub" }) =>
    who.startsWith(`${issuer} `)
      ? who
      : name === "sub" && who.startsWith(as)
      ? `${issuer} ${who.slice(as.length)}`
      : []
  );
  const behind = proxy === undefined ? [] : `proxy:${who.replace(/^proxy:/, "")}`;
  const ids = who.startsWith("key:") ? [] : [...told, behind].flat();
  const id = [...fixed, ...ids].find((one) => one === who) ??
    (ids.length === 1 ? ids[0] : undefined);
  if (id !== undefined) return id;
  const known = [...fixed, ...ids, ...issuers.map(({ issuer }) => `${issuer} SUBJECT`)];
  const hint = `Known: ${known.join(", ")}`;
  throw failed(`Cannot find "${who}" in "auth"`, { hint });
}

/**
 * For the gateway at this URL: `MCPROXY_KEY`, else on this machine the local key of its listener, else
 * a login to this URL. No
 * request goes to another origin than that of the URL, after a redirect neither.
 * @throws {UsageError} where the variable holds what no header can
 */
export function credentialFor(
  url: string,
  { env, cwd = "/", secrets }: Pick<Io, "env" | "secrets"> & Partial<Pick<Io, "cwd">>,
) {
  const given = env["MCPROXY_KEY"]?.trim();
  if (given && !/^[\x21-\x7e]+$/.test(given)) {
    throw new UsageError("Cannot use MCPROXY_KEY: found what no header can hold; expected a key");
  }
  if (given) secrets?.add(given);
  const asked = new URL(url);
  const { hostname, username, password, port } = asked;
  const directories = stateDirectories(env);
  const isHere = isLoopback(hostname);
  let granted: Promise<ServerCredential | undefined> | undefined;
  return {
    /** Those of a request as things stand: a gateway that is restarted has another local key. */
    async headers(): Promise<Readonly<Record<string, string>>> {
      const key = given || isHere && await readLocalKey(directories, asked);
      if (!key) {
        const header = await (await (granted ??= grantedFor(url, { env, cwd })))?.header();
        return header === undefined ? {} : { authorization: header };
      }
      // Where the URL says who asks, a proxy is to read that in `Authorization`.
      return username + password === "" ? { authorization: `Bearer ${key}` } : { "x-api-key": key };
    },
    /**
     * Why the gateway does not let this user in, as the end of a sentence, and what helps. Undefined
     * for another status.
     */
    refusal(status: number, said: string) {
      if (status !== 401 && status !== 403) return undefined;
      const text = valueAt(parsedObject(said), ["error", "message"]);
      const words = typeof text === "string" ? ` (${snippet(text)})` : "";
      if (status === 403) {
        const remedy = '"access" in its configuration says what the key in MCPROXY_KEY may do';
        return { why: `it does not allow that${words}`, remedy };
      }
      const why = given ? "it does not take the key in MCPROXY_KEY" : "it wants a key";
      // A name may lead to more than one who listens.
      const isNamed = hostname === "localhost" && !given;
      const remedy = (isNamed ? `name it by its address, 127.0.0.1:${port || "80"}, or ` : "") +
        'set MCPROXY_KEY to one of its keys; "mcproxy keys add NAME" makes one where it runs, and ' +
        `where people log in: "mcproxy login ${loginAddress(url)}"`;
      return { why: why + words, remedy };
    },
  };
}

/**
 * The key of the gateway that listens at this URL, as far as the first of the directories that has
 * one knows. Nothing is told to another address than that of the gateway, by name neither: behind
 * the same port somebody else may listen there.
 */
export async function readLocalKey(
  directories: readonly string[],
  { hostname, port, protocol }: URL,
): Promise<string | undefined> {
  for (const directory of directories) {
    const file = localKeyFile(directory, port || (protocol === "https:" ? 443 : 80));
    const read = await readText(file, { limit: 1024 });
    // One that others can read was not written by us.
    if (!read.ok || isReadableByOthers(read.mode)) continue;
    const [key, address] = read.text.split("\n");
    if (address === hostname && /^mcproxy_[\w-]+$/.test(key ?? "")) return key;
  }
  return undefined;
}

/** What `mcproxy login URL` has brought, if anybody has run it. */
async function grantedFor(
  url: string,
  place: Pick<Io, "env" | "cwd">,
): Promise<ServerCredential | undefined> {
  if (!existsSync(join(stateDirectory(place.env) ?? "", "grants.json"))) return undefined;
  const [{ grantFileIn }, { openLogins }] = await Promise.all([
    import("../upstream/oauth/grants.ts"),
    import("../upstream/oauth/logins.ts"),
  ]);
  const server = loginAddress(url);
  if (await grantFileIn(place)?.find({ server, principal: "" }) === undefined) return undefined;
  return openLogins(place).of(server, { ...plainTarget(url), login: { type: "oauth" } });
}

/** A gateway has answered that it does not do it. */
export class RefusedError extends CliError {
  /** `status`: where a gateway has said so by HTTP. */
  constructor(message: string, readonly status?: number, hint?: string) {
    super(ExitCode.Failed, message, { hint });
  }
}

/** The end of a command that a gateway did not let in. */
export class NotLetInError extends RefusedError {
  override readonly name = "NotLetInError";

  constructor(
    label: string,
    status: number,
    { why, remedy }: { readonly why: string; readonly remedy: string },
  ) {
    const hint = remedy.replace(/^[a-z]/, (letter) => letter.toUpperCase());
    super(`Cannot ask the gateway at "${label}": ${why}`, status, hint);
  }
}
