/** Keys in the configuration: made, listed, taken out, given to clients. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { CLIENTS } from "../../src/cli/clients/clients.ts";
import { loadConfig } from "../../src/config/load.ts";
import { type Home, homeWith } from "./clients/clients.ts";
import { run, TestInput } from "./support.ts";

const hashOf = (key: string) => `sha256:${createHash("sha256").update(key).digest("hex")}`;

/** A configuration of a person, byte for byte. */
const BEFORE = `\uFEFF{
\t// who gets in
\t"auth": { // by keys
\t\t"keys": {
\t\t\t"old": "sha256:${"a".repeat(64)}", // laptop
\t\t},
\t},
\t"mcpServers": {}, /* none */
}
`;

const EMPTY = '{"mcpServers": {}}';

/** The configuration of a home, and what `mcproxy keys` does there. */
async function homeOf(texts: Readonly<Record<string, string>>, clients: readonly string[] = []) {
  const home = await homeWith(clients);
  for (const [name, text] of Object.entries(texts)) {
    await home.write(join(home.options.cwd, name), text);
  }
  const keys = (...args: string[]) => run(["keys", ...args], home.options);
  const path = (name = "mcp-servers.json") => join(home.options.cwd, name);
  const read = (name?: string) => readFile(path(name), "utf8");
  return { home, keys, path, read };
}

async function keysIn(path: string, { options: { env, cwd } }: Home) {
  const loaded = await loadConfig(path, { env, cwd });
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return loaded.config.settings.auth?.keys;
}

test("keys add writes the hash, shows the key once, and leaves all else as it is", async () => {
  const { home, keys, path, read } = await homeOf({ "mcp-servers.json": BEFORE });
  await using _ = home;
  const { code, stdout, stderr } = await keys("add", "ci");
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^mcproxy_[\w-]{43}\n$/);
  const key = stdout.trim();
  assert.equal(stderr.includes(key), false);
  assert.match(stderr, /claude mcp add --transport http mcproxy http:\/\/127\.0\.0\.1:12009\/mcp/);
  assert.match(stderr, /"Authorization: Bearer \$MCPROXY_KEY"/);
  assert.doesNotMatch(stderr, /first one/);
  const line = `\n\t\t\t"ci": "${hashOf(key)}",`;
  assert.equal(await read(), BEFORE.replace("// laptop", `// laptop${line}`));
  assert.deepEqual(await keysIn(path(), home), [
    { name: "old", hash: "a".repeat(64), expires: undefined },
    { name: "ci", hash: hashOf(key).slice(7), expires: undefined },
  ]);
  const twice = await keys("add", "ci");
  assert.equal(twice.code, 1);
  assert.match(
    twice.stderr,
    /found one of this name[^]*"mcproxy keys remove ci" takes that one out/,
  );
  assert.equal((await keys("remove", "ci")).code, 0);
  assert.equal(await read(), BEFORE);
});

test("keys go into the file that says auth, the last one of several", async () => {
  const auth = '{"mcpServers": {}, "auth": {"keys": {}}}';
  const { home, keys, read } = await homeOf({ "a.json": auth, "b.json": auth, "c.json": EMPTY });
  await using _ = home;
  const files = ["a", "b", "c"].flatMap((name) => ["-c", `${name}.json`]);
  assert.equal((await keys("add", "x", ...files)).code, 0);
  assert.deepEqual([await read("a.json"), await read("c.json")], [auth, EMPTY]);
  assert.match(await read("b.json"), /"x": "sha256:/);
  const { stderr } = await keys("add", "x", "-c", "c.json", "-c", "d.json");
  assert.match(stderr, /d\.json.*does not exist/);
  await home.write(join(home.options.cwd, "d.json"), EMPTY);
  const two = await keys("add", "x", "-c", "c.json", "-c", "d.json");
  assert.match(two.stderr, /Cannot add to 2 files; expected one: --config FILE/);
});

test("the first key makes a file where there is none, and says what changes for whom", async () => {
  const { home, keys } = await homeOf({});
  await using _ = home;
  const { code, stdout, stderr } = await keys("add", "laptop", "--json");
  assert.equal(code, 0, stderr);
  const { key, file, ...rest } = JSON.parse(stdout);
  assert.deepEqual(rest, { name: "laptop", expires: null, first: true });
  assert.equal(file, join(home.directory, ".config/mcproxy/mcp-servers.json"));
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.deepEqual((await keysIn(file, home))?.map(({ hash }) => `sha256:${hash}`), [hashOf(key)]);
  assert.match(stderr, /nobody gets in without a key[^]*\n {2}mcproxy connect CLIENT --write\n$/);
});

test("a key may end, and the list says so", async () => {
  const ended = `{"mcpServers": {}, "auth": {"keys": {"gone": {"hash": "sha256:${
    "b".repeat(64)
  }", "expires": "2020-02-29"}}}}`;
  const { home, keys, path } = await homeOf({ "mcp-servers.json": ended });
  await using _ = home;
  const before = Date.now();
  for (const [name, time] of [["d", "90d"], ["h", "12h"], ["t", "2099-12-31"]] as const) {
    const { code, stderr } = await keys("add", name, "--expires", time);
    assert.equal(code, 0, stderr);
  }
  const ends = new Map((await keysIn(path(), home))?.map((one) => [one.name, one.expires!]));
  const after = (name: string) => ends.get(name)! - Math.floor(before / 1000) * 1000;
  assert.ok(after("d") >= 90 * 86_400_000 && after("d") < 91 * 86_400_000);
  assert.ok(after("h") >= 12 * 3_600_000 && after("h") < 13 * 3_600_000);
  assert.equal(ends.get("t"), Date.parse("2100-01-01"));
  const listed = JSON.parse((await keys("list", "--json")).stdout);
  assert.deepEqual(listed.keys[0], {
    name: "gone",
    expires: "2020-03-01T00:00:00.000Z",
    expired: true,
    lastUse: null,
  });
  assert.deepEqual(listed.keys[3], {
    name: "t",
    expires: "2100-01-01T00:00:00.000Z",
    expired: false,
    lastUse: null,
  });
  assert.match((await keys("list")).stdout, /gone +2020-03-01T00:00:00\.000Z has expired/);
});

test("what would let nobody in is refused", async () => {
  const { home, keys, read } = await homeOf({ "mcp-servers.json": EMPTY });
  await using _ = home;
  for (const name of ["a b", "__proto__", "constructor", "x".repeat(65), "ä"]) {
    assert.equal((await keys("add", name)).code, 2, name);
  }
  for (const time of ["0d", "2020-01-01", "soon", "2099-02-30", "9999999d"]) {
    const { code, stderr } = await keys("add", "x", "--expires", time);
    assert.equal(code, 2, time);
    assert.match(stderr, /with --expires a time to come, such as 90d/);
  }
  assert.equal(await read(), EMPTY);
  for (const args of [[], ["add"], ["list", "x"], ["ad", "x"], ["constructor"]]) {
    const { code, stderr } = await keys(...args);
    assert.equal(code, 2, args.join(" "));
    if (args.length > 0) assert.match(stderr, /expected add NAME, list, remove NAME or hash/);
  }
});

test("keys remove names what is near, and tells of the last one", async () => {
  const { home, keys } = await homeOf({ "mcp-servers.json": BEFORE });
  await using _ = home;
  assert.match(
    (await keys("remove", "odl")).stderr,
    /Cannot find the key "odl"[^]*Did you mean "old"/,
  );
  assert.match((await keys("remove", "zzzz")).stderr, /Found: "?old/);
  const { stdout } = await keys("remove", "old");
  assert.match(stdout, /taken out of .*\nIt was the last one.*take "auth" out as well/);
  assert.match((await keys("list")).stdout, /has no keys/);
  assert.match((await keys("remove", "old")).stderr, /Found: none/);
});

test("keys go into YAML and out of it, and its comments stay", async () => {
  const text = "# who gets in\nmcpServers: {}\nauth:\n  keys:\n" +
    `    old: sha256:${"a".repeat(64)} # laptop\n`;
  const { home, keys, path, read } = await homeOf({ "mcp-servers.yaml": text }, ["cursor"]);
  await using _ = home;
  const { code, stdout, stderr } = await keys("add", "ci", "--expires", "2099-12-31");
  assert.equal(code, 0, stderr);
  const written = await read("mcp-servers.yaml");
  assert.ok(written.startsWith(text), written);
  const known = await keysIn(path("mcp-servers.yaml"), home);
  assert.deepEqual(known?.[1], {
    name: "ci",
    hash: hashOf(stdout.trim()).slice(7),
    expires: Date.parse("2100-01-01"),
  });
  assert.match((await run(["connect", "cursor", "--write"], home.options)).stdout, /Key: cursor/);
  assert.equal((await keys("remove", "cursor")).code, 0);
  assert.equal((await keys("remove", "ci")).code, 0);
  assert.equal(await read("mcp-servers.yaml"), text);
  // What no edit can follow stays as it is.
  const odd = "mcpServers: {}\nx: &k {}\nauth: { keys: *k }\n";
  await home.write(path("odd.yaml"), odd);
  const refused = await keys("add", "x", "-c", "odd.yaml");
  assert.match(refused.stderr, /odd\.yaml/);
  assert.deepEqual([refused.code === 0, await read("odd.yaml")], [false, odd]);
});

test("keys hash makes the line of a key that somebody has", async () => {
  const hash = async (text: string, ...args: string[]) => {
    const stdin = new TestInput();
    stdin.write(text);
    stdin.end();
    return await run(["keys", "hash", ...args], { stdin });
  };
  const key = "a-key-of-another-program";
  assert.equal((await hash(`${key}\n`)).stdout, `${hashOf(key)}\n`);
  assert.deepEqual(JSON.parse((await hash(key, "--json")).stdout), { hash: hashOf(key) });
  const short = await hash("secret");
  assert.deepEqual([short.code, short.stderr.includes("secret")], [2, false]);
});

test("each client is given its key in its own way", () => {
  const reach = { url: "http://127.0.0.1:1/mcp", command: ["mcproxy"], key: "k" } as const;
  const headers = { Authorization: "Bearer k" };
  const ways: Readonly<Record<string, unknown>> = {
    "claude-desktop": { env: { MCPROXY_KEY: "k" } },
    codex: { http_headers: headers },
  };
  for (const { name, entry } of CLIENTS) {
    const plain = entry({ ...reach, key: undefined }) as object;
    assert.deepEqual(entry(reach), { ...plain, ...ways[name] ?? { headers } }, name);
  }
});

// One that starts a program, one of TOML, one as most are.
for (const client of ["claude-desktop", "codex", "cursor"]) {
  test(`connect ${client} gives it a key of its own, a new one each time, and takes it back`, async () => {
    const { home, path, keys } = await homeOf({
      "mcp-servers.json": '{"mcpServers": {}, "auth": {"keys": {}}}',
    }, [
      client,
    ]);
    await using _ = home;
    const file = home.file(client);
    const before = await readFile(file, "utf8");
    const connect = async (...args: string[]) => {
      const told = await run(["connect", client, ...args], home.options);
      assert.equal(told.code, 0, told.stderr);
      assert.doesNotMatch(told.stdout + told.stderr, /mcproxy_[\w-]{43}/);
      return told.stdout;
    };
    const keyIn = async () => /mcproxy_[\w-]{43}/.exec(await readFile(file, "utf8"))?.[0] ?? "";
    assert.match(await connect(), /\*\*\*/);
    assert.deepEqual(await keysIn(path(), home), []);
    assert.match(await connect("--write"), new RegExp(`Key: ${client}\n`));
    const first = await keyIn();
    const known = async () =>
      (await keysIn(path(), home))?.map(({ name, hash }) => [name, `sha256:${hash}`]);
    assert.deepEqual(await known(), [[client, hashOf(first)]]);
    const text = await readFile(file, "utf8");
    if (client === "claude-desktop") assert.ok(text.includes(`"MCPROXY_KEY": "${first}"`));
    else assert.match(text, new RegExp(`"?Authorization"?(:| =) "Bearer ${first}"`));
    await connect("--write");
    assert.notEqual(await keyIn(), first);
    assert.deepEqual(await known(), [[client, hashOf(await keyIn())]]);
    await connect("--undo", "--write");
    assert.equal(await readFile(file, "utf8"), before);
    assert.deepEqual(await known(), []);
    // The name is somebody else's.
    await keys("add", client);
    await connect("--write");
    assert.deepEqual((await known())?.map(([name]) => name), [client, `${client}-2`]);
  });
}

test("a client that was connected before there were keys gets one, and --undo takes both out", async () => {
  const { home, path } = await homeOf({ "mcp-servers.json": EMPTY }, ["cursor"]);
  await using _ = home;
  const file = home.file("cursor");
  const before = await readFile(file, "utf8");
  const connect = (...args: string[]) =>
    run(["connect", "cursor", "--write", ...args], home.options);
  await connect();
  await run(["keys", "add", "x"], home.options);
  const { stdout } = await connect();
  assert.match(stdout, /Cursor is connected[^]*Key: cursor/);
  assert.equal((await keysIn(path(), home))?.length, 2);
  await connect("--undo");
  assert.equal(await readFile(file, "utf8"), before);
  // Elsewhere its key is what somebody was given.
  const url = "https://mcp.example.com/mcp";
  const env = { ...home.options.env, MCPROXY_KEY: "given-by-somebody-else" };
  const there = await run(["connect", "cursor", "--write", "--url", url], { ...home.options, env });
  assert.doesNotMatch(there.stdout, /given-by/);
  assert.match(await readFile(file, "utf8"), /"Authorization": "Bearer given-by-somebody-else"/);
  assert.equal((await keysIn(path(), home))?.length, 1);
});
