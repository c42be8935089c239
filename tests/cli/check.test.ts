import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { configFile, run } from "./support.ts";

const SECRET = "hunter2-hunter2-hunter2";

const GOOD = {
  mcpServers: {
    mem: { command: "node", args: ["--token", SECRET], env: { KEY: SECRET } },
    web: {
      url: `http://user:${SECRET}@127.0.0.1:1/p?token=${SECRET}`,
      headers: { "X-Key": SECRET },
    },
    old: { url: "https://example.com/sse", transport: "sse", disabled: true },
  },
};

test("check accepts a valid file and names every server", async () => {
  const file = await configFile(GOOD);
  const { code, stdout, stderr } = await run(["check"], { cwd: file.directory });
  await file.close();
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "");
  assert.match(stdout, /mem +stdio +ok +node/);
  assert.match(stdout, /web +http +ok +http:\/\/127\.0\.0\.1:1$/m);
  assert.match(stdout, /old +sse +disabled +https:\/\/example\.com$/m);
  assert.match(stdout, /mcp-servers\.json: ok, 3 servers\n$/);
});

test("check --json has the shape scripts rely on, without secrets", async () => {
  const file = await configFile(GOOD);
  const { code, stdout } = await run(["check", "--json", "-c", file.path]);
  await file.close();
  assert.equal(code, 0);
  assert.ok(!stdout.includes(SECRET), stdout);
  assert.deepEqual(JSON.parse(stdout), {
    ok: true,
    file: file.path,
    servers: [
      { name: "mem", transport: "stdio", target: "node", state: "ok" },
      { name: "web", transport: "http", target: "http://127.0.0.1:1", state: "ok" },
      { name: "old", transport: "sse", target: "https://example.com", state: "disabled" },
    ],
    issues: [],
    warnings: [],
  });
});

test("check names file, line, column, path and remedy of an invalid file", async () => {
  const file = await configFile('{\n  "mcpServers": {\n    "x": { "comand": "node" }\n  }\n}');
  const human = await run(["check"], { cwd: file.directory });
  const json = await run(["check", "--json"], { cwd: file.directory });
  await file.close();
  assert.equal(human.code, 3);
  assert.equal(human.stdout, "");
  const place = RegExp.escape(`${file.path}:3:12`);
  assert.match(human.stderr, new RegExp(`^${place} mcpServers\\.x\\.comand: .*"command"`, "m"));
  assert.equal(json.code, 3);
  const report = JSON.parse(json.stdout);
  assert.equal(report.ok, false);
  assert.equal(report.file, file.path);
  assert.deepEqual(report.servers, []);
  assert.deepEqual([report.issues[0].line, report.issues[0].column], [3, 12]);
});

test("a file is told by its whole path, however it was named", async () => {
  const file = await configFile({ mcpServers: { x: { comand: "node" } } });
  const { directory: cwd } = file;
  await writeFile(join(cwd, "good.json"), '{"mcpServers":{"x":{"command":"${file:no.txt}"}}}');
  try {
    const name = "mcp-servers.json";
    const first = async (...given: Parameters<typeof run>) => (await run(...given)).stderr;
    const told = [
      [await first(["check", "--config", name], { cwd }), join(cwd, name)],
      [
        await first(["serve", "--config", `./${name}`], {
          cwd,
          env: { MCPROXY_SYSLOG: '{"socket":"/nowhere"}' },
        }),
        join(cwd, name),
      ],
      [await first(["list"], { cwd, env: { MCP_CONFIG_PATH: name } }), join(cwd, name)],
      [await first(["list", "--config", "none.json"], { cwd }), join(cwd, "none.json")],
      [await first(["check", "--config", "good.json"], { cwd }), join(cwd, "good.json")],
      [
        await first(["check", "--config", "good.json", "--credentials", "no.json"], { cwd }),
        join(cwd, "no.json"),
      ],
      [await first(["import", "no-client.json"], { cwd }), join(cwd, "no-client.json")],
      [await first(["import", name, "--config", "good.json"], { cwd }), join(cwd, name)],
    ];
    for (const [stderr, path] of told) assert.ok(stderr!.startsWith(path!), `${path}: ${stderr}`);
  } finally {
    await file.close();
  }
});

test("check exits with 3 for a server that cannot be started, and shows the others", async () => {
  const file = await configFile({
    mcpServers: { a: { command: "node" }, b: { command: "${MCPROXY_TEST_UNSET}" } },
  });
  const human = await run(["check"], { cwd: file.directory });
  const json = await run(["check", "--json"], { cwd: file.directory });
  await file.close();
  assert.equal(human.code, 3);
  assert.match(human.stderr, /MCPROXY_TEST_UNSET/);
  assert.match(human.stdout, /a +stdio +ok/);
  assert.match(human.stdout, /b +stdio +problem/);
  assert.match(human.stdout, /1 server of 2 cannot be started/);
  const report = JSON.parse(json.stdout);
  assert.equal(json.code, 3);
  assert.equal(report.ok, false);
  assert.equal(report.servers[1].state, "problem");
  assert.equal(report.issues.length, 1);
});

test("check passes over the problem of a disabled server", async () => {
  const file = await configFile({
    mcpServers: { b: { command: "${MCPROXY_TEST_UNSET}", disabled: true } },
  });
  const { code } = await run(["check"], { cwd: file.directory });
  await file.close();
  assert.equal(code, 0);
});

test("check without a file names the places it looked at and a file to begin with", async () => {
  const { code, stdout, stderr } = await run(["check"], {
    cwd: "/nowhere",
    env: { HOME: "/nobody" },
  });
  assert.equal(code, 3);
  assert.equal(stdout, "");
  for (
    const place of [
      '"/nowhere", ',
      '"/nobody/.config/mcproxy", ',
      '"/etc/mcproxy"',
    ]
  ) assert.ok(stderr.includes(place), stderr);
  assert.match(stderr, /--config FILE/);
  assert.match(stderr, /"mcpServers": \{/);
});
