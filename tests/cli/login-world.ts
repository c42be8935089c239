/** A server that wants a login, and who gives it, in one: small enough for a test to say what is wrong with it. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Callback } from "../../src/cli/login/callback.ts";
import { main } from "../../src/cli/main.ts";
import { bodyOf } from "../support/body.ts";
import { TestInput, TestIo } from "./support.ts";

type Answer = Readonly<Record<string, unknown>>;

/** What there is at `/mcp` for whoever has a token, and all the rest of OAuth. */
export class LoginWorld {
  readonly base: string;
  /** Method and path of each request, without `/mcp`. */
  readonly asked: string[] = [];
  /** Forms that came to `/token` and `/revoke`, bodies that came to `/register`. */
  readonly forms: URLSearchParams[] = [];
  readonly registered: Answer[] = [];
  /** Instead of what is said otherwise. */
  metadata: Answer = {};
  resource: Answer = {};
  registration: Answer = {};
  /** Whether anybody gives tokens here. */
  hasOauth = true;
  /** What `/authorize` leads back with. */
  back: Readonly<Record<string, string>> = { code: "the-code-of-it" };
  /** Whether a token is good. */
  takes = (token: string): boolean => token.startsWith("access-token-");
  /** What `tools/list` and `/token` fail with. */
  failures: { tools?: (token: string) => string; token?: (code: string) => string } = {};
  /** What the challenge asks for. */
  scope = "read";

  private constructor(private readonly server: ReturnType<typeof createServer>) {
    this.base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (request, response) => void this.#answer(request, response));
  }

  static async open(): Promise<LoginWorld> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new LoginWorld(server);
  }

  get url(): string {
    return `${this.base}/mcp`;
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    return closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await bodyOf(request) ?? "";
    const { pathname, searchParams } = new URL(request.url ?? "", this.base);
    if (pathname !== "/mcp") this.asked.push(`${request.method} ${pathname}`);
    const json = (body: unknown, status = 200, headers = {}) => {
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(JSON.stringify(body));
    };
    if (!this.hasOauth && pathname !== "/mcp") return json({ error: "no such page" }, 404);
    switch (pathname) {
      case "/.well-known/oauth-protected-resource/mcp":
        return json({
          resource: this.url,
          authorization_servers: [this.base],
          ...this.resource,
        });
      case "/.well-known/oauth-authorization-server":
        return json({
          issuer: this.base,
          authorization_endpoint: `${this.base}/authorize`,
          token_endpoint: `${this.base}/token`,
          registration_endpoint: `${this.base}/register`,
          revocation_endpoint: `${this.base}/revoke`,
          response_types_supported: ["code"],
          code_challenge_methods_supported: ["S256"],
          authorization_response_iss_parameter_supported: true,
          ...this.metadata,
        });
      case "/register": {
        const body = JSON.parse(text) as Answer;
        const id = `client-${this.registered.push(body)}`;
        return json({ ...body, client_id: id, ...this.registration }, 201);
      }
      case "/authorize": {
        const to = new URL(searchParams.get("redirect_uri")!);
        const back = { state: searchParams.get("state")!, iss: this.base, ...this.back };
        for (const [name, value] of Object.entries(back)) to.searchParams.set(name, value);
        return void response.writeHead(302, { location: to.href }).end();
      }
      case "/token": {
        const form = new URLSearchParams(text);
        this.forms.push(form);
        const description = this.failures.token?.(form.get("code")!);
        if (description !== undefined) {
          return json({ error: "invalid_grant", error_description: description }, 400);
        }
        return json({
          access_token: `access-token-${this.forms.length}`,
          token_type: "Bearer",
          refresh_token: `refresh-token-${this.forms.length}`,
          expires_in: 3_600,
        });
      }
      case "/revoke":
        this.forms.push(new URLSearchParams(text));
        return json({});
    }
    const [, token = ""] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? [];
    if (!this.takes(token)) {
      const metadata = `${this.base}/.well-known/oauth-protected-resource/mcp`;
      const challenge = `Bearer resource_metadata="${metadata}", scope="${this.scope}"`;
      return json({ error: "no token" }, 401, { "www-authenticate": challenge });
    }
    if (pathname === "/api/status") {
      return json({ version: "1", servers: [], config: { path: "x" } });
    }
    if (request.method !== "POST") return void response.writeHead(405).end();
    const { id, method, params } = JSON.parse(text);
    if (id === undefined) return void response.writeHead(202).end();
    const results: Record<string, unknown> = {
      initialize: {
        protocolVersion: params?.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "it", version: "1" },
      },
      "tools/list": { tools: [{ name: "echo", inputSchema: { type: "object" } }] },
    };
    const failure = method === "tools/list" ? this.failures.tools?.(token) : undefined;
    const result = failure === undefined ? results[method] : undefined;
    const error = { code: -32601, message: failure ?? "no such method" };
    json({ jsonrpc: "2.0", id, ...(result === undefined ? { error } : { result }) });
  }
}

/** A login that has printed where to go. */
export interface BegunLogin {
  readonly address: string;
  readonly input: TestInput;
  readonly io: TestIo;
  /** Settles with its end. */
  readonly ended: Promise<
    { readonly code: number; readonly stdout: string; readonly stderr: string }
  >;
}

/** Runs `mcproxy login` until it has printed an address, or has come to its end. */
export async function beginLogin(
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<BegunLogin> {
  const input = new TestInput();
  const state = { STATE_DIRECTORY: join(cwd, "state") };
  const io = new TestIo({ cwd, env: { ...state, ...env }, stdin: input });
  const ended = main(["login", ...args, "--no-browser"], io)
    .then((code) => ({ code, stdout: io.stdoutText, stderr: io.stderrText }))
    .finally(() => [io.out, io.err].forEach((one) => one.end("the end of the login")));
  const isJson = args.includes("--json");
  const line = isJson ? /^\{"address":"(http[^"]+)"\}$/m : /^ {2}(http\S+)$/m;
  const inbox = isJson ? io.out : io.err;
  const text = await inbox.waitFor((one) => line.test(one)).catch(() => "");
  const [, address = ""] = line.exec(text) ?? [];
  return { address, input, io, ended };
}

/** Where an address leads to, unless it is followed. */
export async function locationOf(address: string): Promise<URL> {
  const response = await fetch(address, { redirect: "manual" });
  await response.body?.cancel();
  return new URL(response.headers.get("location")!);
}

/** As a browser that asks nobody. */
export async function follow(address: string): Promise<string> {
  const response = await fetch(await locationOf(address));
  return `${response.status} ${await response.text()}`;
}

/** All of a login whose address is followed. */
export async function logIn(args: readonly string[], at: Parameters<typeof beginLogin>[1]) {
  const { address, ended } = await beginLogin(args, at);
  if (address !== "") assert.match(await follow(address), /^200 .*go back to the terminal/);
  return { address, ...await ended };
}

/** The grants of a directory. */
export async function grantsIn(cwd: string) {
  const text = await readFile(join(cwd, "state/grants.json"), "utf8");
  return JSON.parse(text).grants as readonly Record<string, unknown>[];
}

const PARTS = [
  "state",
  "code",
  "error",
  "iss",
  "%00",
  "..",
  "é",
  "javascript:",
  "//",
  "#",
  "?",
  "&",
];

/** Pastes addresses that are nearly right, then the right one. */
export async function fuzzCallback(count: number): Promise<void> {
  const callback = await Callback.listen(undefined);
  try {
    const { state, redirect: { href } } = callback;
    const input = new TestInput();
    let told = 0;
    const answer = callback.answer(input, () => void told++);
    let random = 1;
    const next = (below: number) => (random = random * 48_271 % 2_147_483_647) % below;
    for (let each = 0; each < count; each++) {
      const text = Array.from({ length: 1 + next(4) }, () => PARTS[next(PARTS.length)]).join("");
      // Cut, longer, of another case, twice, in the wrong place, or with nothing beside.
      const states = [
        state.slice(0, next(state.length)),
        state + text,
        `${text}&state=${state}`,
        state.toUpperCase() + "-",
      ];
      const wrong = `${href}?code=${text}&state=${states[next(states.length)]}`;
      input.write(
        `${[wrong, text, `${href}#state=${state}&code=x`, `${href}?state=${state}`][next(4)]}\n`,
      );
    }
    input.write(`${href}?code=right&state=${state}\n`);
    const taken = await answer;
    assert.equal(taken?.get("code"), "right");
    assert.equal(told, count);
  } finally {
    callback.close();
  }
}
