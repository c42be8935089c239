/** `mcproxy login` and `mcproxy logout`: a grant is made here, and spent by whoever has the server. */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import * as v from "valibot";
import { CliError, ExitCode, type Io, print, say, UsageError } from "../../app/io.ts";
import { requireConfiguration } from "../../app/plan.ts";
import { keyMark } from "../../config/types.ts";
import { shortHash } from "../../lib/json.ts";
import { jsonIn, readPrivate, replaceFile, stateDirectory } from "../../lib/own-file.ts";
import { createRedactor } from "../../lib/secrets.ts";
import { messageOf, plural, printable, quotedNames } from "../../lib/text.ts";
import { loginAddress } from "../../protocol/issuer.ts";
import { type Grant, GrantFile, grantFileIn } from "../../upstream/oauth/grants.ts";
import { Logins } from "../../upstream/oauth/logins.ts";
import { unknownServer } from "../args.ts";
import type { Invocation, OptionValues } from "../command.ts";
import { gatewayState, principalCalled, RefusedError } from "../credential.ts";
import { type RemoteCaller, remoteCaller } from "../remote.ts";
import type { LoginDesk, LoginSettings, Registration } from "./authorize.ts";

/** `mcproxy login NAME|URL`: a person lets the gateway, or this user, use a server as they may. */
export async function logIn({ args: [name = ""], options }: Invocation, io: Io): Promise<ExitCode> {
  const { key, gateway, path, inFile } = await holderOf(name, options, io);
  const found = isUrl(name)
    ? { url: name }
    : gateway === undefined
    ? await configured(name, options, io)
    : await askedFor(name, gateway, options, io);
  // What cannot be kept is nothing to ask a person for.
  if (!gateway) await inFile((file) => file.exclusively(key, () => file.find(key)));
  const { scope = found.scope } = options;
  const settings = scope === undefined ? found : { ...found, scope };
  // As whom this client is known to who gives the tokens. Where there is no place, it is nobody.
  const directory = stateDirectory(io.env) ?? "/dev/null";
  const file = join(directory, `client.${shortHash(loginAddress(settings.url), 16)}.json`);
  const before = await readPrivate(file);
  const known = v.safeParse(registration, before?.ok && jsonIn(before.value));
  // The SDK, which no other command needs.
  const { authorized, toolsOf } = await import("./authorize.ts");
  const grant = await authorized({
    name,
    settings,
    // It may ask for no more than it was registered for.
    known: known.success && options.scope === undefined ? known.output : undefined,
    register: (made) => {
      const text = new TextEncoder().encode(JSON.stringify(made));
      return (made ? replaceFile(file, text) : rm(file, { force: true })).catch(() => {});
    },
    ask: asker(name, options, io),
  });
  const kept = gateway?.api("PUT", path, grant) ?? inFile((file) => file.put({ ...grant, ...key }));
  await kept.catch(async (error) => {
    const trusted = [settings.url, settings.issuer ?? settings.url];
    // A gateway that has not answered may have taken it.
    const isLost = gateway === undefined || error instanceof RefusedError;
    if (isLost) await new Logins().revoke({ ...grant, ...key }, trusted).catch(() => {});
    throw error;
  });
  const tools = await toolsOf(settings.url, grant);
  const offer = typeof tools === "string"
    ? `its tools could not be listed: ${tools}`
    : `${plural(tools.length, "tool")} ${quotedNames(tools)}`.trim();
  const { issuer, expiresAt } = grant;
  const principal = key.principal || settings.principal;
  const whose = principal === undefined ? "" : ` as ${principal}`;
  const result = { server: name, principal, issuer, scope: grant.scope, expiresAt, tools };
  const { text } = createRedactor(io.secrets);
  const shown = (_: string, value: unknown) => typeof value === "string" ? text(value) : value;
  const said = options.json === true
    ? JSON.stringify(result, shown)
    : text(printable(`Logged in to ${JSON.stringify(name)}${whose}: ${offer}`));
  await print(io, `${said}\n`);
  return ExitCode.Ok;
}

/** `mcproxy logout NAME|URL` */
export async function logOut({ args: [name = ""], options }: Invocation, io: Io) {
  const { key, gateway, path, login, inFile } = await holderOf(name, options, io, true);
  const forget = async (file: GrantFile) => {
    const { url = "" } = await file.find(key) ?? {};
    const target = { kind: "http", url, transport: "http", headers: {} } as const;
    return await new Logins({ file }).forget(key, login ? { ...target, login } : target);
  };
  const had = await (gateway?.api("DELETE", path) ?? inFile(forget));
  if (!had) throw new CliError(ExitCode.Failed, `Nobody is logged in to "${name}"`);
  const text = options.json === true ? JSON.stringify({ server: name }) : `Logged out of "${name}"`;
  await print(io, `${text}\n`);
  return ExitCode.Ok;
}

const LOOPBACK = /^http:\/\/(localhost|127(\.\d+){3}|\[::1\])(:\d+)?\//;
/** What a login keeps for the next one, as far as it can be used. */
const registration: v.GenericSchema<unknown, Registration> = v.looseObject({
  client_id: v.string(),
  client_secret: v.optional(v.string()),
  issuer: v.string(),
  redirect: v.pipe(v.string(), v.regex(LOOPBACK), v.url()),
});

function isUrl(name: string): boolean {
  return /^https?:\/\//i.test(name) && URL.canParse(name);
}

/**
 * Who has the grant: a gateway that runs, or without one a file, by this key. What `isToEnd` may be
 * somebody's who is in `auth` no more.
 */
async function holderOf(name: string, options: OptionValues, io: Io, isToEnd = false) {
  const { url, for: who, credentials } = options;
  const isOwn = isUrl(name) || who !== undefined;
  if (isOwn && url !== undefined) {
    throw new UsageError("Cannot use --url here: expected a server's NAME with it, without --for");
  }
  const gateway = isOwn ? undefined : await remoteCaller(options, io);
  const isAsked = isUrl(name) || gateway !== undefined;
  const config = isAsked ? undefined : (await requireConfiguration(options, io)).config;
  const state = isUrl(name) ? {} : gatewayState(io.env);
  const file = grantFileIn({ env: io.env, cwd: io.cwd, credentials, ...state });
  const kept = isToEnd && who !== undefined ? await file?.read().catch(() => []) : undefined;
  const isTheirs = (one: Grant) => one.server === name && one.principal === who;
  const { auth } = config?.settings ?? {};
  const principal = who === undefined || kept?.some(isTheirs) ? who : principalCalled(who, auth);
  const mark = keyMark(auth, principal ?? "");
  const server = isUrl(name) ? loginAddress(name) : name;
  const key = { server, principal: principal ?? "", keyMark: mark };
  /** Does something with the file. @throws {CliError} where it cannot be used */
  const inFile = <T>(work: (file: GrantFile) => Promise<T>): Promise<T> =>
    work(file ?? new GrantFile("/dev/null")).catch((error) => {
      throw new CliError(ExitCode.Failed, `Cannot keep logins: ${messageOf(error)}`);
    });
  const target = config?.servers.get(name)?.instances[0];
  const login = target?.kind === "http" ? target.login : undefined;
  return { key, gateway, path: `grants/${encodeURIComponent(name)}`, login, inFile };
}

/** What a gateway says of a server that wants a login. */
async function askedFor(name: string, gateway: RemoteCaller, options: OptionValues, io: Io) {
  const said = await gateway.api("GET", `logins/${encodeURIComponent(name)}`);
  const settings = { ...said, scope: said.asks } as unknown as LoginSettings;
  if (said.hasSecret !== true) return settings;
  if (options.url === undefined) return await configured(name, options, io);
  const message = `Cannot log in to "${name}" from here: its "clientSecret" stays where it is`;
  const hint = `Run "mcproxy login ${name}" on the machine of the gateway`;
  throw new CliError(ExitCode.Failed, message, { hint });
}

/** What the configuration says of it. */
async function configured(name: string, options: OptionValues, io: Io): Promise<LoginSettings> {
  const { config: { servers } } = await requireConfiguration(options, io);
  const server = servers.get(name);
  if (server === undefined) throw unknownServer(name, servers.keys());
  const target = server.instances[0]!;
  const login = target.kind === "http" ? target.login : undefined;
  const refused = (why: string) =>
    new CliError(ExitCode.Failed, `Cannot log in to "${name}": ${why}`);
  if (target.kind !== "http" || login?.type === "client-credentials") {
    throw refused("nobody logs in to what is started by a command, or has tokens of its own");
  }
  if ((login?.per === "user") !== (options.for !== undefined)) {
    throw refused('--for NAME is for a login of each user ("per": "user"), which wants it');
  }
  return { ...login, url: target.url };
}

/** Shows people the address, and waits for what comes back. */
function asker(name: string, options: OptionValues, io: Io): LoginDesk["ask"] {
  const tell = (text: string) => void say(io.stderr, text);
  return async (address, callback) => {
    if (options.json === true) await print(io, `${JSON.stringify({ address })}\n`);
    else {
      tell(`To log in to ${JSON.stringify(name)}, open this address:\n\n  ${address}\n\n`);
      tell(`or paste here where it leads to in the end, ${callback.redirect.href}?…\n`);
    }
    const { DISPLAY, WAYLAND_DISPLAY, WSL_DISTRO_NAME, SSH_CONNECTION } = io.env;
    const hasScreen = process.platform !== "linux" || DISPLAY || WAYLAND_DISPLAY || WSL_DISTRO_NAME;
    const mayOpen = options["no-browser"] !== true && address.startsWith("https:");
    if (mayOpen && hasScreen && !SSH_CONNECTION) {
      const { default: open } = await import("open");
      await open(address).catch((error) => tell(`Cannot open a browser: ${messageOf(error)}\n`));
    }
    return await callback.answer(io.stdin, tell);
  };
}
