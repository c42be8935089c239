/** `mcproxy login` and `mcproxy logout`: a grant is made here, and spent by whoever has the server. */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { ExitCode, failed, type Io, print, say, UsageError } from "../../app/io.ts";
import { requireConfiguration } from "../../app/plan.ts";
import { redirectUrl } from "../../config/schema-login.ts";
import { type Config, keyMark, oauthOf, plainTarget } from "../../config/types.ts";
import { shortHash } from "../../lib/json.ts";
import { jsonIn, readPrivate, replaceFile, stateDirectory } from "../../lib/own-file.ts";
import { createRedactor } from "../../lib/secrets.ts";
import { messageOf, plural, printable, quotedNames } from "../../lib/text.ts";
import { loginAddress } from "../../protocol/issuer.ts";
import { type Grant, grantFileIn } from "../../upstream/oauth/grants.ts";
import { Logins } from "../../upstream/oauth/logins.ts";
import { unknownServer } from "../args.ts";
import { openInBrowser } from "../browser.ts";
import type { Invocation, OptionValues } from "../command.ts";
import { gatewayState, principalCalled, RefusedError } from "../credential.ts";
import { type RemoteCaller, remoteCaller } from "../remote.ts";
import { printReport } from "../view/table.ts";
import type { LoginDesk, LoginSettings, Registration } from "./authorize.ts";

/** `mcproxy login NAME|URL`: a person lets the gateway, or this user, use a server as they may. */
export async function logIn({ args: [name = ""], options }: Invocation, io: Io): Promise<ExitCode> {
  const { key, gateway, path, config, inFile } = await holderOf(name, options, io);
  const found = gateway !== undefined
    ? await askedFor(name, gateway, options, io)
    : config === undefined
    ? { url: name, type: "oauth" as const }
    : configured(name, config, key.principal || undefined);
  // What cannot be kept is nothing to ask a person for.
  if (!gateway) await inFile(({ file }) => file.check());
  const { scope = found.scope } = options;
  const settings = scope === undefined ? found : { ...found, scope };
  const { known, register } = await registrationFor(settings.url, io);
  // The SDK, which no other command needs.
  const { authorized, toolsOf } = await import("./authorize.ts");
  const grant = await authorized({
    name,
    settings,
    // It may ask for no more than it was registered for.
    known: options.scope === undefined ? known : undefined,
    register,
    ask: asker(name, options, io),
  });
  const target = { ...plainTarget(settings.url), login: settings };
  const kept = gateway?.api("PUT", path, grant) ??
    inFile((logins) => logins.receive({ ...grant, ...key }, target));
  await kept.catch(async (error) => {
    const trusted = [settings.url, settings.issuer ?? settings.url];
    // A gateway that has not answered may have taken it.
    if (error instanceof RefusedError) await new Logins().revoke(grant, trusted).catch(() => {});
    throw error;
  });
  const tools = await toolsOf(settings.url, grant);
  const offer = typeof tools === "string"
    ? `its tools could not be listed: ${tools}`
    : `${plural(tools.length, "tool")} ${quotedNames(tools)}`.trim();
  const { issuer, expiresAt } = grant;
  const { principal } = settings;
  const whose = principal === undefined ? "" : ` as ${principal}`;
  const result = { server: name, principal, issuer, scope: grant.scope, expiresAt, tools };
  const { text } = createRedactor(io.secrets);
  const shown = (_: string, value: unknown) => typeof value === "string" ? text(value) : value;
  const line = text(printable(`Logged in to ${JSON.stringify(name)}${whose}: ${offer}`));
  await printReport(io, options, JSON.parse(JSON.stringify(result, shown)), () => [line]);
  return ExitCode.Ok;
}

/** `mcproxy logout NAME|URL` */
export async function logOut({ args: [name = ""], options }: Invocation, io: Io) {
  const { key, gateway, path, config, inFile } = await holderOf(name, options, io, true);
  const forget = async (logins: Logins) => {
    const { url = "" } = await logins.file.find(key) ?? {};
    const { login } = oauthOf(config?.servers.get(name)) ?? {};
    return await logins.forget(key, { ...plainTarget(url), ...(login && { login }) });
  };
  if (!await (gateway?.api("DELETE", path) ?? inFile(forget))) {
    throw failed(`Nobody is logged in to "${name}"`);
  }
  await printReport(io, options, { server: name }, () => [`Logged out of "${name}"`]);
  return ExitCode.Ok;
}

/** What a login keeps for the next one, as far as it can be used. */
const registration: v.GenericSchema<unknown, Registration> = v.looseObject({
  client_id: v.string(),
  client_secret: v.optional(v.string()),
  issuer: v.string(),
  redirect: redirectUrl,
});

/** As whom this client is known to who gives the tokens. Where there is no place, it is nobody. */
async function registrationFor(url: string, { env }: Io) {
  const directory = stateDirectory(env) ?? "/dev/null";
  const file = join(directory, `client.${shortHash(loginAddress(url), 16)}.json`);
  const read = await readPrivate(file);
  const before = v.safeParse(registration, read?.ok && jsonIn(read.value));
  const register: LoginDesk["register"] = (made) => {
    const text = new TextEncoder().encode(JSON.stringify(made));
    return (made ? replaceFile(file, text) : rm(file, { force: true })).catch(() => {});
  };
  return { known: before.success ? before.output : undefined, register };
}

function isUrl(name: string): boolean {
  return /^https?:\/\//i.test(name) && URL.canParse(name);
}

/**
 * Who has the grant: a gateway that runs, or without one a file, by this key. What `isToEnd` may be
 * somebody's who is in `auth` no more.
 */
async function holderOf(name: string, options: OptionValues, io: Io, isToEnd = false) {
  const { url, for: who, credentials } = options;
  if ([isUrl(name), who, url].filter((one) => one).length > 1) {
    throw new UsageError("Cannot use --for, --url and a URL together: expected one of them");
  }
  const isOwn = isUrl(name);
  const gateway = isOwn || who !== undefined ? undefined : await remoteCaller(options, io);
  const config = isOwn || gateway ? undefined : (await requireConfiguration(options, io)).config;
  const state = isOwn ? {} : gatewayState(io.env);
  const file = grantFileIn({ env: io.env, cwd: io.cwd, credentials, ...state });
  const kept = isToEnd && who !== undefined ? await file?.read().catch(() => []) : undefined;
  const isTheirs = (one: Grant) => one.server === name && one.principal === who;
  const { auth } = config?.settings ?? {};
  const principal = who === undefined || kept?.some(isTheirs) ? who : principalCalled(who, auth);
  const server = isOwn ? loginAddress(name) : name;
  const key = { server, principal: principal ?? "", keyMark: keyMark(auth, principal ?? "") };
  /** Does something with the file. @throws {RefusedError} where it cannot be used */
  const inFile = <T>(work: (logins: Logins) => Promise<T>): Promise<T> =>
    Promise.try(work, new Logins({ file })).catch((error) => {
      throw new RefusedError(`Cannot keep logins: ${messageOf(error)}`);
    });
  return { key, gateway, path: `grants/${encodeURIComponent(name)}`, config, inFile };
}

/** What a gateway says of a server, as long as it would keep a grant of it. */
async function askedFor(name: string, gateway: RemoteCaller, options: OptionValues, io: Io) {
  const said = await gateway.api("GET", `grants/${encodeURIComponent(name)}`);
  const settings = { ...said, scope: said.asks } as unknown as LoginSettings;
  if (said.hasSecret !== true) return settings;
  if (options.url === undefined) {
    const { config } = await requireConfiguration(options, io);
    return configured(name, config, settings.principal);
  }
  const message = `Cannot log in to "${name}" from here: its "clientSecret" stays where it is`;
  const hint = `Run "mcproxy login ${name}" on the machine of the gateway`;
  throw failed(message, { hint });
}

/** What the configuration says of it; each has a login of their own where somebody is named. */
function configured(name: string, { servers }: Config, principal?: string): LoginSettings {
  const server = servers.get(name);
  if (server === undefined) throw unknownServer(name, servers.keys());
  const found = oauthOf(server);
  const isTheirs = found?.login.per === "user";
  if (found !== undefined && isTheirs === (principal !== undefined)) {
    return { ...found.login, url: found.target.url, principal };
  }
  const why = found === undefined
    ? "nobody logs in to what is started by a command, or has tokens of its own"
    : '--for NAME is for a login of each user ("per": "user"), which wants it';
  throw failed(`Cannot log in to "${name}": ${why}`);
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
    const mayOpen = options["no-browser"] !== true && address.startsWith("https:");
    if (mayOpen) await openInBrowser(address, io);
    return await callback.answer(io.stdin, tell);
  };
}
