/** A server that wants a login, over real HTTP: what callers and the status are told, and what wakes it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runtime } from "#runtime";
import type { HttpTarget, LoginConfig, ServerConfig } from "../../../src/config/types.ts";
import { GrantFile } from "../../../src/upstream/oauth/grants.ts";
import { Logins } from "../../../src/upstream/oauth/logins.ts";
import { Upstream } from "../../../src/upstream/upstream.ts";
import { type FakeHttp, serveHttp } from "../fakes/http-server.ts";
import { call, RecordedLog, serverConfig, textOf } from "../support.ts";
import { type Directory, directory, FakeIssuer, grantFor, ISSUER, Time } from "./support.ts";

const BEARER = 'Bearer resource_metadata="https://mcp.example.com/x"';
type Refusal = readonly [status: number, challenge: string];

class World {
  readonly time = new Time();
  readonly issuer = new FakeIssuer();
  readonly log = new RecordedLog();
  readonly file: GrantFile;
  readonly logins: Logins;
  upstream!: Upstream;
  server!: FakeHttp;
  /** Who is refused, with what. */
  check: (authorization: string | undefined, method: string, session?: string) =>
    | Refusal
    | undefined;
  /** By whom each session was opened, where there are any. */
  sessions: Map<string, string> | undefined;
  /** What an answer waits for. */
  hold: ((method: string) => Promise<void>) | undefined;
  #wake: (() => void)[] = [];

  private constructor(private readonly place: Directory) {
    this.file = new GrantFile(place.path);
    const { issuer: { fetchFor }, time: { now } } = this;
    this.logins = new Logins({ file: this.file, fetchFor, now });
    this.check = (given) => given === "Bearer access-0" ? undefined : [401, BEARER];
  }

  static async open(
    login?: LoginConfig,
    more: Partial<ServerConfig> = {},
    target: Partial<HttpTarget> = {},
  ): Promise<World> {
    const world = new World(await directory());
    world.server = await serveHttp(async (seen, response) => {
      const { authorization } = seen.headers;
      const { id, method = "", params } = seen.body ?? {};
      await world.hold?.(method);
      const { sessions } = world;
      const session = String(seen.headers["mcp-session-id"] ?? "");
      const refused = world.check(authorization, method, session);
      if (refused !== undefined) {
        const [status, challenge] = refused;
        return void response.writeHead(status, { "www-authenticate": challenge }).end("no");
      }
      if (seen.method !== "POST") return void response.writeHead(405).end();
      if (id === undefined) return void response.writeHead(202).end();
      const results: Record<string, unknown> = {
        initialize: {
          protocolVersion: params?.protocolVersion,
          capabilities: { tools: {} },
          serverInfo: { name: "fake", version: "1" },
        },
        "tools/list": { tools: [{ name: "echo", inputSchema: { type: "object" } }] },
        "tools/call": { content: [{ type: "text", text: authorization ?? "" }] },
      };
      const result = results[method];
      const answer = result === undefined
        ? { error: { code: -32601, message: "no such method" } }
        : { result };
      const named = method === "initialize" && sessions
        ? { "mcp-session-id": `s-${sessions.size}` }
        : {};
      sessions?.set(named["mcp-session-id"] ?? session, sessions.get(session) ?? authorization!);
      response.writeHead(200, { "content-type": "application/json", ...named });
      response.end(JSON.stringify({ jsonrpc: "2.0", id, ...answer }));
    });
    const url = `${world.server.url}/mcp`;
    const instance: HttpTarget = {
      kind: "http",
      url,
      transport: "http",
      headers: {},
      ...(login === undefined ? {} : { login }),
      ...target,
    };
    world.upstream = new Upstream({
      config: serverConfig(instance, { name: "it", protocol: "legacy", ...more }),
      runtime,
      logins: () => Promise.resolve(world.logins),
      log: world.log,
      events: {
        onStateChange: () => {
          for (const wake of world.#wake.splice(0)) wake();
        },
      },
    });
    return world;
  }

  async start(): Promise<void> {
    this.upstream.start();
    await this.upstream.settled;
  }

  async until(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((wake) => this.#wake.push(wake));
  }

  /** What a login writes, and the gateway notices. */
  async grant(more: Parameters<typeof grantFor>[1] = {}): Promise<void> {
    await this.file.put(grantFor(this.time, { url: `${this.server.url}/mcp`, ...more }));
    await this.logins.look();
  }

  get reason() {
    return this.upstream.status().reason;
  }

  /** What a call comes to. */
  async call(): Promise<string> {
    try {
      return textOf((await this.upstream.forward(call("echo"), [])).raw);
    } catch (error) {
      return (error as Error).message;
    }
  }

  get warnings(): readonly string[] {
    return this.log.lines.filter(({ level }) => level === "warn").map(({ message }) => message);
  }

  async [Symbol.asyncDispose]() {
    this.logins.close();
    await this.upstream.close();
    await this.server.close();
    await this.place[Symbol.asyncDispose]();
  }
}

const NEEDED = 'Server "it" needs a login: run "mcproxy login it"';

for (const login of [undefined, { type: "oauth" }] as const) {
  const said = login === undefined ? "of which nothing is said" : 'with "oauth"';
  test(`a server ${said} waits for a login, and is asked again when there is one`, async () => {
    await using world = await World.open(login);
    await world.start();
    assert.equal(world.reason, "login");
    const { state, retryAt, lastError } = world.upstream.status();
    assert.deepEqual([state, retryAt, lastError], ["backoff", undefined, NEEDED]);
    assert.equal(await world.call(), NEEDED);
    const asked = world.server.seen.length;
    assert.equal(asked, login === undefined ? 1 : 0);
    for (let n = 0; n < 5; n++) assert.equal(await world.call(), NEEDED);
    assert.equal(world.server.seen.length, asked);
    assert.deepEqual(world.warnings, [NEEDED]);
    await world.grant();
    await world.until(() => world.upstream.state.phase === "ready");
    assert.equal(await world.call(), "Bearer access-0");
    assert.equal(world.upstream.inventory.lists.tools.items.length, 1);
  });
}

test("a refused token is renewed beneath the call; one that is refused again ends the login", async () => {
  await using world = await World.open();
  await world.grant();
  await world.start();
  assert.equal(await world.call(), "Bearer access-0");
  world.check = (given) => given === "Bearer access-1" ? undefined : [401, BEARER];
  assert.deepEqual(await Promise.all([world.call(), world.call(), world.call()]), [
    "Bearer access-1",
    "Bearer access-1",
    "Bearer access-1",
  ]);
  assert.equal(world.issuer.asked.length, 1);
  world.check = () => [401, BEARER];
  const refused =
    /^Server "it" refused its login on 2027-01-15 \(HTTP 401\): run "mcproxy login it"$/;
  assert.match(await world.call(), refused);
  await world.until(() => world.reason === "login");
  assert.match(world.upstream.status().lastError!, refused);
  assert.match(await world.call(), refused);
  assert.equal(world.upstream.inventory.lists.tools.items.length, 1, "its lists are kept");
  assert.equal(world.warnings.filter((line) => refused.test(line)).length, 1);
  world.check = (given) => given === "Bearer anew" ? undefined : [401, BEARER];
  await world.grant({ accessToken: "anew", issuedAt: world.time.ms + 1 });
  await world.until(() => world.upstream.state.phase === "ready");
  assert.equal(await world.call(), "Bearer anew");
});

test("a session that goes with its token ends with it, and costs no login", async () => {
  await using world = await World.open();
  const sessions = world.sessions = new Map();
  await world.grant();
  await world.start();
  const refused = new Set<string>();
  world.check = (given = "", _, session = "") =>
    refused.has(given) || (sessions.get(session) ?? given) !== given ? [401, BEARER] : undefined;
  assert.equal(await world.call(), "Bearer access-0");
  refused.add("Bearer access-0");
  assert.equal(await world.call(), "Bearer access-1");
  assert.deepEqual([...new Set(sessions.values())], ["Bearer access-0", "Bearer access-1"]);
  assert.equal(world.issuer.asked.length, 1);
  assert.equal((await world.file.read())[0]?.dead, undefined);
});

test("another login asks in no session of the one before, and for lists of its own", async () => {
  await using world = await World.open({ type: "oauth" });
  const sessions = world.sessions = new Map();
  world.check = () => undefined;
  await world.grant({ loginAt: 1 });
  await world.start();
  await world.call();
  // By a renewal, be it of another process, everything stays.
  await world.grant({ loginAt: 1, accessToken: "access-1", issuedAt: world.time.ms + 1 });
  assert.equal(await world.call(), "Bearer access-1");
  assert.equal(sessions.size, 1);
  await world.grant({ loginAt: 2, accessToken: "anew", issuedAt: world.time.ms + 2 });
  assert.equal(await world.call(), "Bearer anew");
  assert.deepEqual([...sessions], [["s-0", "Bearer access-0"], ["s-1", "Bearer anew"]]);
  const lists = world.server.seen.filter(({ body }) => body?.method === "tools/list");
  assert.deepEqual(lists.map(({ headers }) => headers.authorization), [
    "Bearer access-0",
    "Bearer anew",
  ]);
});

test("another login opens no session that the one before has asked for", async () => {
  await using world = await World.open({ type: "oauth" });
  const sessions = world.sessions = new Map();
  let granted: Promise<void> | undefined;
  const { promise: held, resolve } = Promise.withResolvers<void>();
  world.hold = async (method) => {
    if (method !== "initialize" || granted !== undefined) return;
    granted = world.grant({ loginAt: 2, accessToken: "anew", issuedAt: world.time.ms + 2 });
    await granted;
    resolve();
  };
  world.check = () => undefined;
  await world.grant({ loginAt: 1 });
  await world.start();
  await held;
  await world.until(() => world.upstream.state.phase === "ready");
  assert.equal(await world.call(), "Bearer anew");
  const lists = world.server.seen.filter(({ body }) => body?.method === "tools/list");
  assert.deepEqual(lists.map(({ headers }) => headers.authorization), ["Bearer anew"]);
  assert.equal([...sessions.values()].at(-1), "Bearer anew");
});

test("rights that do not do fail the call, which names the login that would", async () => {
  await using world = await World.open();
  await world.grant();
  await world.start();
  const challenge = 'Bearer error="insufficient_scope", scope="write"';
  world.check = (_, method) => method === "tools/call" ? [403, challenge] : undefined;
  assert.equal(
    await world.call(),
    `Server "it" needs more rights: run "mcproxy login it --scope 'read write'"`,
  );
  assert.equal(world.upstream.state.phase, "ready");
  world.check = (_, method) => method === "tools/call" ? [403, "Basic"] : undefined;
  assert.equal(
    await world.call(),
    'Server "it" answered "tools/call" with HTTP 403: access denied; ' +
      "its login lacks rights, or is that of another account: no",
  );
});

test("rights that do not do for the first question are told of, too, and nothing else is tried", async () => {
  await using world = await World.open(undefined, { protocol: "auto" });
  await world.grant();
  const asked: string[] = [];
  const challenge = 'Bearer error="insufficient_scope", scope="admin"';
  world.check = (given, method) => {
    asked.push(method);
    return given === undefined ? [401, BEARER] : [403, challenge];
  };
  await world.start();
  assert.match(world.upstream.status().lastError ?? "", /mcproxy login it --scope 'read admin'/);
  assert.deepEqual(asked.filter((method) => method !== "server/discover"), []);
  assert.equal(world.reason, "login");
  world.check = (given) => given === "Bearer wider" ? undefined : [403, challenge];
  await world.grant({ accessToken: "wider", issuedAt: world.time.ms + 1 });
  await world.until(() => world.upstream.state.phase === "ready");
});

test("other refusals stay what they are", async () => {
  await using plain = await World.open();
  plain.check = () => [401, 'Basic realm="x"'];
  await plain.start();
  assert.equal(plain.reason, "unauthorized");
  await using withHeader = await World.open(undefined, {}, {
    headers: { authorization: "Bearer x" },
  });
  await withHeader.grant();
  await withHeader.start();
  assert.equal(withHeader.reason, "unauthorized");
  assert.ok(withHeader.server.seen.every(({ headers }) => headers.authorization === "Bearer x"));
});

const OWN_REFUSED = [
  [401, /HTTP 401: it does not take the gateway's token; see "scope" and "resource" in its "auth"/],
  [403, /HTTP 403: access denied; see "scope" and "resource" in its "auth"/],
] as const;
for (const transport of ["http", "sse"] as const) {
  for (const [status, expected] of OWN_REFUSED) {
    test(`by ${transport} a ${status} to the gateway's own token says what to look at`, async () => {
      const client = { issuer: ISSUER, clientId: "gw", clientSecret: "s3cret-of-gw" };
      const login: LoginConfig = { type: "client-credentials", ...client };
      await using world = await World.open(login, {}, { transport });
      world.check = () => [status, BEARER];
      await world.start();
      assert.equal(world.reason, "unauthorized");
      const told = world.upstream.status().lastError ?? "";
      assert.match(told, expected);
      assert.doesNotMatch(told, /headers\.Authorization/);
    });
  }
}

test("over HTTP+SSE a login is waited for, too", async () => {
  await using world = await World.open(undefined, {}, { transport: "sse" });
  await world.start();
  assert.equal(world.reason, "login");
  assert.equal(world.upstream.status().lastError, NEEDED);
  await world.grant();
  const { headers } = await world.server.until(({ headers }) =>
    headers.authorization !== undefined
  );
  assert.equal(headers.authorization, "Bearer access-0");
});

test("a grant for another address never leaves the gateway", async () => {
  await using world = await World.open();
  await world.grant({ url: "https://elsewhere.example.com/mcp" });
  await world.start();
  assert.equal(world.reason, "login");
  assert.ok(world.server.seen.every(({ headers }) => headers.authorization === undefined));
});
