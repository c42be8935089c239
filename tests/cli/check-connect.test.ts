import assert from "node:assert/strict";
import { test } from "node:test";
import { startHttpFake } from "../support/fakes/http-server.ts";
import type { FakeSpec } from "../support/fakes/spec.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { eventually } from "../support/inbox.ts";
import process from "node:process";
import { isAlive, waitUntilGone } from "../support/process.ts";
import { configFile, run, TestIo } from "./support.ts";
import { main } from "../../src/cli/main.ts";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

const FAST = { startupTimeout: "10s" };

function fake(spec: FakeSpec, rest: object = {}): Record<string, unknown> {
  return { ...fakeCommand(spec), ...rest };
}

/** Runs `check` with a configuration; PATH is what finds `node`. */
async function check(
  mcpServers: Readonly<Record<string, unknown>>,
  flags: readonly string[],
  { env = {}, settings = {} }: {
    readonly env?: Readonly<Record<string, string>>;
    readonly settings?: object;
  } = {},
) {
  const file = await configFile({ ...FAST, ...settings, mcpServers });
  try {
    const result = await run(["check", ...flags, "-c", file.path], {
      env: { ...process.env, ...env },
    });
    return { ...result, file };
  } finally {
    await file.close();
  }
}

const GOOD = fake({ name: "g", tools: ["echo"], resources: 2 });

test("check --connect starts every server and shows what it offers", async () => {
  const web = await startHttpFake({ tools: ["sum"], prompts: 1 });
  try {
    const { code, stdout, stderr } = await check({
      good: GOOD,
      web: { url: web.url },
      sleepy: { ...fake({ tools: ["echo"] }), lazy: true, idleTimeout: "1m" },
      off: { command: "x", disabled: true },
    }, ["--connect"]);
    assert.equal(code, 0, stdout + stderr);
    assert.equal(stderr, "");
    assert.match(stdout, /^SERVER +STATE +TOOLS +PROMPTS +RESOURCES +~TOKENS$/m);
    assert.match(stdout, /^good +ready +1 +0 +2 +\d+$/m);
    assert.match(stdout, /^web +ready +1 +1 +0 +\d+$/m);
    assert.match(stdout, /^sleepy +ready +1 +0 +0 +\d+$/m);
    assert.match(stdout, /^off +disabled +0 +0 +0 +0$/m);
    assert.match(stdout, /^total +3 +\d+$/m);
    assert.match(stdout, /^note: good good_echo: .*server "sleepy".* \[same-tool\]$/m);
    assert.match(stdout, /\n0 errors, 0 warnings, 1 note\n$/);
  } finally {
    await web.close();
  }
});

test("check --connect exits with 1 for a server that fails, and shows the others", async () => {
  const servers = { good: GOOD, bad: fake({ faults: { crashOnStart: 5 } }) };
  const human = await check(servers, ["--connect"]);
  assert.equal(human.code, 1, human.stdout);
  assert.match(human.stdout, /^good +ready/m);
  assert.match(human.stdout, /^bad +failed +0/m);
  assert.match(human.stdout, /^error: bad: exited with code 5.* \[server-failed\]$/m);
  assert.match(human.stdout, /\n1 error, 0 warnings, 0 notes\n$/);
  const json = await check(servers, ["--connect", "--json"]);
  assert.equal(json.code, 1);
  const { ok, issues, connect } = JSON.parse(json.stdout);
  assert.equal(ok, false);
  assert.deepEqual(issues, []);
  assert.equal(connect.tools, 1);
  assert.ok(connect.tokens > 0);
  assert.deepEqual(
    connect.servers.map(({ name, error }: Record<string, unknown>) => [
      name,
      error === null,
    ]),
    [["good", true], ["bad", false]],
  );
  const [finding, ...others] = connect.findings;
  assert.deepEqual(others, []);
  assert.deepEqual(
    Object.keys(finding),
    [
      "level",
      "rule",
      "server",
      "subject",
      "message",
      "remedy",
    ].sort((a, b) => Object.keys(finding).indexOf(a) - Object.keys(finding).indexOf(b)),
  );
  assert.equal(finding.server, "bad");
});

test("check --connect exits with 1 for what clients refuse", async () => {
  const { code, stdout } = await check(
    { bad: fake({ tools: ["echo"], faults: { badRef: true } }) },
    ["--connect"],
  );
  assert.equal(code, 1);
  assert.match(
    stdout,
    /^error: bad bad_echo: outputSchema .*"#\/\$defs\/nowhere".*\[schema-reference\]$/m,
  );
});

test("check --connect exits with 3 for a configuration that is invalid, whatever the rest", async () => {
  const { code, stdout, stderr } = await check(
    { good: GOOD, bad: { command: "${MCPROXY_TEST_UNSET}" } },
    ["--connect"],
  );
  assert.equal(code, 3, stdout);
  assert.match(stderr, /MCPROXY_TEST_UNSET/);
  assert.match(stdout, /^good +ready/m);
});

test("check --strict exits with 1 for warnings, of the file and behind it", async () => {
  const twice = { twice: fake({ tools: ["echo", "echo"] }) };
  assert.equal((await check(twice, ["--connect"])).code, 0);
  const { code, stdout } = await check(twice, ["--connect", "--strict", "--json"]);
  assert.equal(code, 1);
  assert.equal(JSON.parse(stdout).ok, false);
  const notes = { a: GOOD, b: GOOD };
  assert.equal((await check(notes, ["--connect", "--strict"])).code, 0);
  const open = { settings: { host: "0.0.0.0" } };
  assert.equal((await check({ good: GOOD }, [], open)).code, 0);
  assert.equal((await check({ good: GOOD }, ["--strict"], open)).code, 1);
});

test("check says what a start would say of its environment and its address", async () => {
  const bad = await check({ good: GOOD }, [], { env: { MCPROXY_PORT: "many" } });
  assert.equal(bad.code, 3);
  assert.match(bad.stderr, /MCPROXY_PORT/);
  const open = await check({ good: GOOD }, [], { env: { MCPROXY_HOST: "0.0.0.0" } });
  assert.equal(open.code, 0, open.stderr);
  assert.match(open.stderr, /^warning: .*found host "0\.0\.0\.0".*--no-auth/m);
});

test("check --connect stops its servers when it is done, and when a signal comes first", async () => {
  const file = await configFile({});
  const startsFile = join(file.directory, "starts");
  const started = async () => Number((await readFile(startsFile, "utf8")).split("\n")[0]);
  const stuck = { stuck: fake({ startsFile, faults: { hangOnStart: true } }), good: GOOD };
  const path = (await configFile({ startupTimeout: "1h", mcpServers: stuck })).path;
  const io = new TestIo({ env: process.env, terminal: { columns: 80, rows: 24 } });
  const ended = main(["check", "--connect", "-c", path], io);
  await io.err.waitFor((text) => /good.*1 tools?|good.*tools 1/s.test(text));
  const pid = await eventually(
    () => started().catch(() => 0),
    Boolean,
    "the start of the stuck one",
  );
  assert.ok(await isAlive(pid));
  io.signal("SIGINT");
  assert.equal(await ended, 130);
  await waitUntilGone(pid);
  assert.equal(io.listeners("SIGINT"), 0);
  await file.close();
});

test("list --tokens shows what tools take, and --json always does", async () => {
  const file = await configFile({ mcpServers: { good: GOOD } });
  const list = (...flags: string[]) =>
    run(["list", ...flags, "-c", file.path], { env: process.env });
  const [plain, counted, json] = await Promise.all([list(), list("--tokens"), list("--json")]);
  await file.close();
  const tokens = JSON.parse(json.stdout).servers[0].tools[0].tokens;
  assert.ok(Number.isInteger(tokens) && tokens > 10, json.stdout);
  assert.doesNotMatch(plain.stdout, /token/);
  assert.match(counted.stdout, new RegExp(`^good .* about ${tokens} tokens$`, "m"));
  assert.match(counted.stdout, new RegExp(`^ +good_echo +echo +${tokens} +Does echo$`, "m"));
});
