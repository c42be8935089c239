import assert from "node:assert/strict";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { CLIENTS, findClient } from "../../../src/cli/clients/clients.ts";
import { commandOf } from "../../../src/cli/clients/connect.ts";
import { parseClientText } from "../../../src/cli/clients/files.ts";
import { golden, type Home, homeWith } from "./clients.ts";
import { run } from "../support.ts";

const URL = "http://127.0.0.1:12009/mcp";

/** What each client must find, as its documentation has it. */
const ENTRIES: Readonly<Record<string, unknown>> = {
  "claude-code": { type: "http", url: URL },
  cursor: { url: URL },
  vscode: { type: "http", url: URL },
  windsurf: { serverUrl: URL },
  zed: { url: URL },
  cline: { type: "streamableHttp", url: URL },
  codex: { url: URL },
  gemini: { httpUrl: URL },
  opencode: { type: "remote", url: URL, enabled: true },
};

async function entriesOf(client: string, text: string): Promise<Record<string, unknown>> {
  const { section, format } = findClient(client)!;
  const parsed = await parseClientText(text, `x.${format}`);
  assert.ok(parsed.ok);
  const value = parsed.document.value as Record<string, Record<string, unknown>>;
  return JSON.parse(JSON.stringify(value[section[0]!]));
}

for (const { name: client } of CLIENTS) {
  test(`connect ${client} shows, writes and takes back to the byte`, async () => {
    await using home = await homeWith([client]);
    const before = await golden(client);
    const file = home.file(client);

    const dry = await run(["connect", client], home.options);
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(dry.stdout, /^\+ .*mcproxy/m);
    assert.match(dry.stdout, /Nothing was written/);
    assert.doesNotMatch(dry.stdout, /c4n4ry/);
    assert.equal(await readFile(file, "utf8"), before);

    const wet = await run(["connect", client, "--write", "--json"], home.options);
    assert.equal(wet.code, 0, wet.stderr);
    const report = JSON.parse(wet.stdout);
    assert.deepEqual([report.action, report.written, report.file], ["add", true, file]);
    assert.equal(await readFile(report.backup, "utf8"), before);
    const after = await readFile(file, "utf8");
    const { mcproxy, ...others } = await entriesOf(client, after);
    assert.deepEqual(others, await entriesOf(client, before));
    if (client in ENTRIES) assert.deepEqual(mcproxy, ENTRIES[client]);
    else assert.deepEqual((mcproxy as { args: string[] }).args.slice(-2), ["bridge", URL]);
    for (const line of before.split("\n").filter((one) => /^\s*(\/\/|#)|(\/\/|#) /.test(one))) {
      assert.ok(after.includes(line), `the comment is gone: ${line}`);
    }

    const again = await run(["connect", client, "--write", "--json"], home.options);
    assert.equal(JSON.parse(again.stdout).action, "none");
    assert.equal(await readFile(file, "utf8"), after);

    const shown = await run(["connect", client, "--undo"], home.options);
    assert.match(shown.stdout, /^- .*mcproxy[^]*Nothing was written/m);
    assert.equal(await readFile(file, "utf8"), after);
    const undone = await run(["connect", client, "--undo", "--write", "--json"], home.options);
    assert.equal(JSON.parse(undone.stdout).action, "restore");
    assert.equal(await readFile(file, "utf8"), before);
  });

  test(`connect ${client} takes its entry out of a file that has changed since`, async () => {
    await using home = await homeWith([client]);
    const file = home.file(client);
    await run(["connect", client, "--write"], home.options);
    const changed = `${await readFile(file, "utf8")}\n`;
    await writeFile(file, changed);
    const undone = await run(["connect", client, "--undo", "--write", "--json"], home.options);
    assert.equal(undone.code, 0, undone.stderr);
    assert.equal(JSON.parse(undone.stdout).action, "remove");
    const rest = await readFile(file, "utf8");
    assert.doesNotMatch(rest, /12009/);
    assert.deepEqual(await entriesOf(client, rest), await entriesOf(client, await golden(client)));
  });

  test(`connect ${client} makes a file where there is none, and removes it again`, async () => {
    await using home = await homeWith();
    const file = home.file(client);
    await mkdir(dirname(file), { recursive: true });
    const made = await run(["connect", client, "--write", "--json"], home.options);
    assert.equal(made.code, 0, made.stderr);
    assert.equal(JSON.parse(made.stdout).backup, null);
    assert.deepEqual(Object.keys(await entriesOf(client, await readFile(file, "utf8"))), [
      "mcproxy",
    ]);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const undone = await run(["connect", client, "--undo", "--write", "--json"], home.options);
    assert.equal(JSON.parse(undone.stdout).action, "delete");
    await assert.rejects(stat(file));
  });

  test(`connect ${client} leaves a broken file alone and says where it is broken`, async () => {
    await using home = await homeWith();
    const file = home.file(client);
    await home.write(file, '\n{ "a" = [ 1');
    const { code, stderr } = await run(["connect", client, "--write"], home.options);
    assert.equal(code, 3);
    assert.match(stderr, new RegExp(`${basename(file)}:2:\\d+`));
    assert.equal(await readFile(file, "utf8"), '\n{ "a" = [ 1');
    assert.deepEqual(
      await readdir(dirname(file)).then((all) => all.filter((n) => /bak/.test(n))),
      [],
    );
  });
}

test("connect names the folder that a client which is not installed would have", async () => {
  await using home = await homeWith();
  const { code, stderr } = await run(["connect", "windsurf", "--write"], home.options);
  assert.equal(code, 1);
  assert.match(stderr, /Cannot connect "Windsurf": found no folder ".*\.codeium\/windsurf"/);
});

test("connect refuses another entry of its name, and takes its place with --replace", async () => {
  await using home = await homeWith();
  const file = home.file("cursor");
  const before = '{"mcpServers": {"mcproxy": {"url": "http://10.0.0.1:9/mcp"}, "b": {"url": "u"}}}';
  await home.write(file, before);
  const refused = await run(["connect", "cursor", "--write"], home.options);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /found another entry "mcproxy".*\n--replace/);
  assert.equal(await readFile(file, "utf8"), before);
  const done = await run(["connect", "cursor", "--write", "--replace"], home.options);
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual((await entriesOf("cursor", await readFile(file, "utf8")))["mcproxy"], {
    url: URL,
  });
  await run(["connect", "cursor", "--undo", "--write"], home.options);
  assert.equal(await readFile(file, "utf8"), before);
});

test("connect --undo leaves an entry alone that leads to no gateway", async () => {
  await using home = await homeWith();
  const file = home.file("cursor");
  const before = '{"mcpServers": {"mcproxy": {"command": "other"}}}';
  await home.write(file, before);
  const { code, stderr } = await run(["connect", "cursor", "--undo", "--write"], home.options);
  assert.equal(code, 1);
  assert.match(stderr, /leads to no gateway/);
  assert.equal(await readFile(file, "utf8"), before);
});

test("connect --url writes the address, and never shows who asks", async () => {
  await using home = await homeWith(["cursor"]);
  const url = "https://me:c4n4ry@gw.example/profiles/dev/mcp";
  const { stdout } = await run(["connect", "cursor", "--write", "--url", url], home.options);
  assert.doesNotMatch(stdout, /c4n4ry/);
  const entries = await entriesOf("cursor", await readFile(home.file("cursor"), "utf8"));
  assert.deepEqual(entries["mcproxy"], { url });
});

test("connect --gated writes the endpoint with the tools that find the others", async () => {
  await using home = await homeWith(["cursor"]);
  const shown = async (...args: string[]) =>
    (await run(["connect", "cursor", "--gated", ...args], home.options)).stdout;
  assert.match(await shown(), /127\.0\.0\.1:12009\/gated\/mcp"/);
  const base = "http://127.0.0.1:7";
  assert.match(await shown("--url", base), /:7\/gated\/mcp"/);
  assert.match(await shown("--url", `${base}/ungated/mcp`), /:7\/gated\/mcp"/);
  assert.match(await shown("--url", `${base}/profiles/a/mcp`), /:7\/profiles\/a\/gated\/mcp"/);
  // One server alone has no gate.
  assert.match(await shown("--url", `${base}/servers/a/mcp`), /:7\/servers\/a\/mcp"/);
});

test("connect keeps rights, a link and a byte order mark", async () => {
  await using home = await homeWith();
  const real = join(home.directory, "dotfiles", "mcp.json");
  await home.write(real, '\uFEFF{\r\n    "mcpServers": {}\r\n}\r\n');
  await mkdir(dirname(home.file("cursor")), { recursive: true });
  await symlink(real, home.file("cursor"));
  const mode = (await stat(real)).mode;
  await run(["connect", "cursor", "--write"], home.options);
  assert.equal(
    await readFile(real, "utf8"),
    '\uFEFF{\r\n    "mcpServers": {\r\n        "mcproxy": {\r\n            "url": ' +
      `"${URL}"\r\n        }\r\n    }\r\n}\r\n`,
  );
  assert.equal((await stat(real)).mode, mode);
});

test("connect without a client lists them all", async () => {
  await using home = await homeWith(["cursor", "codex"]);
  await run(["connect", "codex", "--write"], home.options);
  const { stdout } = await run(["connect"], home.options);
  assert.match(stdout, /^codex +connected +.*config\.toml$/m);
  assert.match(stdout, /^cursor +not connected +.*mcp\.json$/m);
  assert.match(stdout, /^windsurf +not found$/m);
});

test("connect suggests the client that was meant", async () => {
  const { code, stderr } = await run(["connect", "curser"]);
  assert.equal(code, 2);
  assert.match(stderr, /Unknown client "curser" \(did you mean "cursor"\?\)/);
});

test("commandOf() is the binary, or the runtime with the source", () => {
  const argv = ["x", "/src/main.ts"];
  assert.deepEqual(commandOf({ execPath: "/usr/local/bin/mcproxy", argv }), [
    "/usr/local/bin/mcproxy",
  ]);
  assert.deepEqual(commandOf({ execPath: "/usr/bin/bun", argv }), ["/usr/bin/bun", "/src/main.ts"]);
  assert.deepEqual(
    commandOf({ execPath: "C:\\bin\\deno.exe", argv }),
    ["C:\\bin\\deno.exe", "run", "--quiet", "-A", "/src/main.ts"],
  );
});

/** A home whose gateway has these servers. */
async function homeServing(mcpServers: object): Promise<Home> {
  const home = await homeWith();
  const file = join(home.directory, ".config", "mcproxy", "mcp-servers.json");
  await home.write(file, JSON.stringify({ mcpServers }));
  return home;
}

const MEMORY = { command: "npx", args: ["-y", "memory"] };
const LINEAR = { url: "https://mcp.linear.app/mcp" };

test("connect names the entries that the gateway serves as well, and what takes them out", async () => {
  const served = { memory: { ...MEMORY, env: { KEY: "${KEY}" } }, issues: LINEAR };
  await using home = await homeServing(served);
  const env = { KEY: "c4n4ry" };
  const mcpServers = { mine: { ...MEMORY, env }, linear: { httpUrl: LINEAR.url }, own: MEMORY };
  await home.write(home.file("gemini"), JSON.stringify({ mcpServers }));
  const both = /The gateway serves these as well; .*gemini mcp remove .*NAME": "mine", "linear"/;
  const dry = await run(["connect", "gemini"], home.options);
  assert.match(dry.stdout, both);
  const { stdout } = await run(["connect", "gemini", "--write"], home.options);
  assert.match(stdout, both);
  assert.doesNotMatch(stdout, /"own"|c4n4ry/);
  const again = await run(["connect", "gemini", "--write"], home.options);
  assert.match(again.stdout, /nothing to do[^]*"linear"/, "as long as they are there");
  const json = JSON.parse((await run(["connect", "gemini", "--json"], home.options)).stdout);
  assert.deepEqual(json.twice, ["mine", "linear"]);
});

test("connect calls nothing doubled that the gateway does not serve, or one elsewhere", async () => {
  const off = { command: "off", disabled: true };
  await using home = await homeServing({ memory: MEMORY, off });
  const twice = async (client: string, ...args: string[]) =>
    JSON.parse((await run(["connect", client, "--json", ...args], home.options)).stdout).twice;
  const mcpServers = { memory: { ...MEMORY, args: ["-y", "other"] }, off: { command: "off" } };
  await home.write(home.file("cursor"), JSON.stringify({ mcpServers }));
  assert.deepEqual(await twice("cursor"), []);
  await home.write(
    home.file("cursor"),
    JSON.stringify({ mcpServers: { memory: { ...MEMORY, disabled: true } } }),
  );
  assert.deepEqual(await twice("cursor"), [], "nor what is off");
  // A project's servers are where the project is.
  const projects = { "/p": { mcpServers: { memory: MEMORY } } };
  await home.write(home.file("claude-code"), JSON.stringify({ projects }));
  assert.deepEqual(await twice("claude-code"), []);
  const codex = '[mcp_servers.memory]\ncommand = "npx"\nargs = ["-y", "memory"]\n';
  await home.write(home.file("codex"), codex);
  assert.deepEqual(await twice("codex"), ["memory"]);
  assert.deepEqual(await twice("codex", "--url", "http://gw.example/mcp"), []);
  assert.deepEqual(await twice("codex", "--undo"), []);
  await home.write(join(home.directory, ".config", "mcproxy", "mcp-servers.json"), "{");
  assert.deepEqual(await twice("codex"), [], "a broken configuration keeps nobody from connecting");
});

for (
  const [client, note] of [["gemini", /does not trust/], ["codex", /required = true/]] as const
) {
  test(`connect ${client} says what may keep the tools away all the same`, async () => {
    await using home = await homeWith([client]);
    const shown = await run(["connect", client, "--write"], home.options);
    assert.match(shown.stdout, note);
    const undone = await run(["connect", client, "--write", "--undo"], home.options);
    assert.doesNotMatch(undone.stdout, note);
  });
}

test("the last few backups are kept, and all that somebody else has made", async () => {
  await using home = await homeWith(["cursor"]);
  const file = home.file("cursor");
  const foreign = [`${file}.bak-mine`, `${file}.bak-20200101`];
  for (const one of foreign) await home.write(one, "mine");
  const texts: string[] = [];
  for (let round = 0; round < 9; round++) {
    texts.push(await readFile(file, "utf8"));
    const args = ["--write", "--replace", "--url", `http://127.0.0.1:${9_000 + round}/mcp`];
    const { code, stderr } = await run(["connect", "cursor", ...args], home.options);
    assert.equal(code, 0, stderr);
  }
  const names = (await readdir(dirname(file))).filter((name) => name.includes(".bak-")).sort();
  const own = names.filter((name) => !foreign.some((one) => one.endsWith(name)));
  assert.equal(names.length, own.length + foreign.length);
  const kept = await Promise.all(own.map((name) => readFile(join(dirname(file), name), "utf8")));
  assert.deepEqual(new Set(kept), new Set(texts.slice(-5)));
});
