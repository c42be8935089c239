/** How the client under test comes by a login: as a person does whom the gateway tells what to run. */

import { dirname, join } from "node:path";
import process from "node:process";
import type { Gateway } from "../../support/gateway.ts";
import { type ProcessMode, startProgram } from "../../support/program.ts";
import type { Context } from "./scenarios.ts";

/** What the referee tells beside. */
export interface LoginContext extends Context {
  readonly client_id?: string;
  readonly client_secret?: string;
  readonly private_key_pem?: string;
}

/** What a person writes into the configuration, who has been told so much. */
export async function entryOf(name: string, url: string, context: LoginContext) {
  const { client_id: clientId, client_secret: clientSecret, private_key_pem: privateKey } = context;
  if (name === "auth/basic-cimd") {
    const clientUrl = "https://conformance-test.local/client-metadata.json";
    return { url, auth: { type: "oauth", clientUrl } };
  }
  const isKnown = name === "auth/pre-registration";
  if (!isKnown && !name.startsWith("auth/client-credentials")) return { url };
  const { origin, pathname } = new URL(url);
  const response = await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`);
  const { authorization_servers: [issuer] } = await response.json();
  if (isKnown) return { url, auth: { type: "oauth", clientId, clientSecret, issuer } };
  return { url, auth: { type: "client-credentials", issuer, clientId, clientSecret, privateKey } };
}

/** More than any scenario needs, and no more than a person bears. */
const MOST_LOGINS = 3;

/** Takes turns until one succeeds, or nobody can say what to run, or that does not work out. */
export async function logInAsTold(gateway: Gateway, turn: () => Promise<void>): Promise<void> {
  for (let logins = 0;; logins++) {
    const { state, lastError, lastErrorAt } = (await gateway.status()).servers[0]!;
    const said = state === "ready"
      ? await turn().then(() => undefined, String)
      : JSON.stringify(lastError);
    process.stderr.write(`Turn ${logins}: ${said ?? "well"}\n`);
    const words = /run \\?"mcproxy login (scenario)(?: --scope '([^']*)')?/.exec(said ?? "");
    if (words === null && said !== undefined && logins === 0) throw new Error(said);
    if (words === null || logins === MOST_LOGINS) return;
    const [, server = "", scope] = words;
    const args = scope === undefined ? [server] : [server, "--scope", scope];
    if (!await logIn(gateway, args)) return;
    // It may be refused as soon as it is there.
    await gateway.waitForServer(
      "scenario",
      (now) => now.state === "ready" || now.lastErrorAt !== lastErrorAt,
    );
  }
}

async function logIn({ mode, configPath, port }: Gateway, args: readonly string[]) {
  const env = { STATE_DIRECTORY: join(dirname(configPath), "state"), MCPROXY_PORT: String(port) };
  const words = ["login", ...args, "--no-browser", "--config", configPath];
  const login = await startProgram(mode as ProcessMode, words, { env });
  login.stderr.follow((line) => process.stderr.write(`login: ${line}\n`), () => {});
  try {
    const line = await login.stderr.waitFor((one) => /^ {2}http/.test(one)).catch(() => "");
    if (line !== "") await (await fetch(line.trim())).body?.cancel();
    return (await login.exited).code === 0;
  } finally {
    await login.kill();
  }
}
