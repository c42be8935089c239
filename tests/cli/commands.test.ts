import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { contentText, progressLine, readCallArguments } from "../../src/cli/call.ts";
import { startServer } from "../support/server.ts";
import { gatewayUrls } from "../../src/cli/urls.ts";
import { cacheEnv } from "../support/cache.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { main } from "../../src/cli/main.ts";
import { configFile, run, TestInput, TestIo } from "./support.ts";

const ENV = { ...process.env, ...cacheEnv() };

const CONFIG = {
  mcpServers: {
    alpha: fakeCommand({ tools: ["echo", "odd", "fail", "progress"], prompts: ["p"] }),
    beta: fakeCommand({ name: "b", tools: ["echo"], resources: ["r"], templates: ["t"] }),
    gone: { ...fakeCommand({}), disabled: true },
  },
};

/** Runs a command on servers it starts itself, then on a running gateway. */
function onBoth(
  name: string,
  check: (run: (...args: string[]) => ReturnType<typeof import("./support.ts").run>) => Promise<
    void
  >,
): void {
  test(`${name}, started for it`, async () => {
    const file = await configFile(CONFIG);
    try {
      await check((...args) => run([...args, "--config", file.path], { env: process.env }));
    } finally {
      await file.close();
    }
  });
  test(`${name}, of a running gateway`, async () => {
    const file = await configFile(CONFIG);
    const server = await startServer({ config: file.path, port: 0, env: ENV });
    try {
      await server.server.gateway.settled();
      await check((...args) => run([...args, "--url", server.url]));
    } finally {
      await server.close();
      await file.close();
    }
  });
}

onBoth("list --json shows every server with exposed and own names", async (run) => {
  const { code, stdout, stderr } = await run("list", "--json");
  assert.equal(code, 0, stderr);
  const { servers } = JSON.parse(stdout);
  const [alpha, beta] = servers;
  assert.equal(alpha.name, "alpha");
  assert.equal(alpha.state, "ready");
  assert.equal(alpha.transport, "stdio");
  assert.equal(alpha.error, null);
  assert.deepEqual(
    alpha.tools.map((tool: { exposed: string; own: string }) => [tool.exposed, tool.own]),
    [["alpha_echo", "echo"], ["alpha_odd", "odd"], ["alpha_fail", "fail"], [
      "alpha_progress",
      "progress",
    ]],
  );
  assert.deepEqual(alpha.prompts.map(({ exposed }: { exposed: string }) => exposed), ["alpha_p"]);
  assert.deepEqual(beta.tools.map(({ exposed }: { exposed: string }) => exposed), ["beta_echo"]);
  assert.deepEqual(
    beta.resources.map(({ exposed, own }: { exposed: string; own: string }) => [exposed, own]),
    [["fake://b/r", "fake://b/r"]],
  );
  assert.equal(beta.templates[0].exposed, "fake://b/t/{id}");
});

onBoth("list SERVER shows that server", async (run) => {
  const { code, stdout } = await run("list", "beta");
  assert.equal(code, 0);
  assert.match(stdout, /^beta {2}tools 1 {2}resources 1 {2}resource|^beta {2}tools 1/);
  assert.match(stdout, /beta_echo +echo/);
  assert.doesNotMatch(stdout, /alpha/);
});

onBoth("list SERVER refuses one there is not", async (run) => {
  const { code, stdout, stderr } = await run("list", "bata");
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /Cannot find server "bata"/);
  assert.match(stderr, /Did you mean "beta"\?/);
});

onBoth("call prints text plainly", async (run) => {
  const { code, stdout } = await run("call", "alpha_echo", '{"a":1}');
  assert.equal(code, 0);
  assert.equal(stdout, '{"a":1}\n');
});

onBoth("call passes numbers through digit for digit", async (run) => {
  const { stdout } = await run("call", "alpha_odd", "{}", "--json");
  assert.match(stdout, /"big":12345678901234567890,"huge":1e400,"float":1\.0/);
});

onBoth("call exits with 1 for a tool that failed, its text on stdout", async (run) => {
  const { code, stdout } = await run("call", "alpha_fail");
  assert.equal(code, 1);
  assert.equal(stdout, "it went wrong\n");
});

onBoth("call suggests a tool for one there is not", async (run) => {
  const { code, stdout, stderr } = await run("call", "alpha_ecko");
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /^Cannot call "alpha_ecko": Unknown tool .*did you mean "alpha_echo"/);
});

onBoth("call shows progress on stderr", async (run) => {
  const { code, stdout, stderr } = await run("call", "alpha_progress", '{"n":2}');
  assert.equal(code, 0);
  assert.equal(stdout, "progressed\n");
  assert.equal(stderr, "1/2 step 1\n2/2 step 2\n");
});

test("call reads its arguments from stdin", async () => {
  const file = await configFile(CONFIG);
  const stdin = new TestInput();
  stdin.write('{"text":');
  stdin.write('"hé"}');
  stdin.end();
  const args = ["call", "alpha_echo", "-", "--config", file.path];
  const { code, stdout } = await run(args, { env: process.env, stdin });
  await file.close();
  assert.deepEqual([code, stdout], [0, '{"text":"hé"}\n']);
});

test("call starts nothing for arguments that are none", async () => {
  for (const [text, why] of [["{", /expected JSON/], ["[1]", /found \[1\]; expected an object/]]) {
    const { code, stderr } = await run(["call", "x", String(text), "--config", "/nowhere.json"]);
    assert.equal(code, 2);
    assert.match(stderr, why as RegExp);
  }
});

test("list shows a server that failed, its error, the others, and exits with 1", async () => {
  const file = await configFile({
    mcpServers: {
      good: fakeCommand({ tools: ["echo"] }),
      bad: { command: "mcproxy-no-such-command" },
      off: { ...fakeCommand({}), disabled: true },
    },
  });
  const human = await run(["list", "-c", file.path], { env: process.env });
  const json = await run(["list", "--json", "-c", file.path], { env: process.env });
  await file.close();
  assert.equal(human.code, 1);
  assert.match(human.stdout, /good_echo/);
  assert.match(human.stdout, /^bad {2}.*mcproxy-no-such-command/m);
  assert.match(human.stdout, /^off {2}disabled$/m);
  assert.equal(json.code, 1);
  const { servers } = JSON.parse(json.stdout);
  assert.deepEqual(servers.map(({ state }: { state: string }) => state), [
    "ready",
    "backoff",
    "disabled",
  ]);
  assert.match(servers[1].error, /mcproxy-no-such-command/);
});

test("call does not wait for a server that cannot have the tool", async () => {
  const file = await configFile({
    mcpServers: {
      quick: fakeCommand({ tools: ["echo"] }),
      hung: { ...fakeCommand({ faults: { hangOnStart: true } }), startupTimeout: "10m" },
    },
  });
  const args = ["call", "quick_echo", "{}", "-c", file.path];
  const { code, stdout } = await run(args, { env: process.env });
  await file.close();
  assert.deepEqual([code, stdout], [0, "{}\n"]);
});

test("list and call exit with 3 without a valid configuration", async () => {
  for (const args of [["list"], ["call", "x"]]) {
    const { code, stderr } = await run([...args, "--config", "/nowhere/file.json"]);
    assert.equal(code, 3);
    assert.match(stderr, /\/nowhere\/file\.json: .*does not exist/);
  }
});

test("status shows a running gateway, --json its very words", async () => {
  const file = await configFile(CONFIG);
  const server = await startServer({ config: file.path, port: 0, env: ENV });
  try {
    await server.server.gateway.settled();
    const human = await run(["status", "--url", server.url]);
    assert.equal(human.code, 0, human.stderr);
    assert.match(human.stdout, /^mcproxy \d+\.\d+\.\d+, up \d+/);
    assert.ok(human.stdout.includes(file.path));
    assert.match(human.stdout, /alpha +ready +stdio +legacy +4 +\d+ +1 +0 +0 +\d+ +0/);
    const json = await run(["status", "--url", new URL(server.url).origin, "--json"]);
    const { servers, config } = JSON.parse(json.stdout);
    assert.equal(config.path, file.path);
    assert.equal(servers.length >= 2, true);
  } finally {
    await server.close();
    await file.close();
  }
});

test("status, list and call say how to start a gateway that is not there", async () => {
  const url = "http://127.0.0.1:1/mcp";
  for (const args of [["status"], ["list"], ["call", "x"]]) {
    const { code, stdout, stderr } = await run([...args, "--url", url]);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^Cannot ask the gateway at "http:\/\/127\.0\.0\.1:1": it could not/);
    assert.match(stderr, /mcproxy serve/);
  }
});

test("status refuses what is no URL", async () => {
  const { code, stderr } = await run(["status", "--url", "localhost:12009"]);
  assert.equal(code, 2);
  assert.match(stderr, /expected a URL such as/);
});

test("gatewayUrls() takes root, endpoint and a path in front", () => {
  for (const text of ["http://h:1", "http://h:1/", "http://h:1/mcp", "http://h:1/mcp/?x#y"]) {
    const urls = gatewayUrls(text);
    assert.deepEqual([urls.mcp, urls.api, urls.label], [
      "http://h:1/mcp",
      "http://h:1/api",
      "http://h:1",
    ]);
  }
  for (
    const path of ["/gated/mcp", "/ungated/mcp", "/profiles/a%20b/gated/mcp", "/servers/s/mcp"]
  ) {
    const urls = gatewayUrls(`http://h:1${path}`);
    // What is called is called there; what is asked about the gateway is asked at its root.
    assert.deepEqual([urls.mcp, urls.api, urls.label], [
      `http://h:1${path}`,
      "http://h:1/api",
      "http://h:1",
    ]);
  }
  assert.equal(gatewayUrls("https://h/gw/gated/mcp").health, "https://h/gw/health");
  assert.equal(gatewayUrls("https://h/gw/mcp").api, "https://h/gw/api");
  assert.equal(gatewayUrls("http://u:secret@h:1").label, "http://h:1");
  assert.equal(gatewayUrls(undefined).mcp, "http://127.0.0.1:12009/mcp");
  const env = { MCPROXY_HOST: "::", MCPROXY_PORT: "7" };
  assert.equal(gatewayUrls(undefined, env).mcp, "http://127.0.0.1:7/mcp");
});

test("readArguments() returns the text as it came", () => {
  assert.equal(readCallArguments(' {"n": 12345678901234567890} '), ' {"n": 12345678901234567890} ');
});

test("contentText() describes what is no text", () => {
  const content = [
    { type: "text", text: "one" },
    { type: "image", mimeType: "image/png", data: "AAAA" },
    { type: "resource_link", uri: "file:///x", name: "x" },
    { type: "resource", resource: { uri: "a://b", text: "two\n" } },
    { type: "hologram" },
  ];
  assert.equal(
    contentText({ content }),
    "one\n[image image/png, 4 characters of base64]\nfile:///x\ntwo\n[hologram]\n",
  );
  assert.equal(contentText({ structuredContent: { a: 1 } }), '{\n  "a": 1\n}\n');
});

test("progressLine() reads progress and log notifications", () => {
  const line = (method: string, params: unknown) =>
    progressLine(JSON.stringify({ method, params }));
  assert.equal(line("notifications/progress", { progress: 1 }), "1");
  assert.equal(line("notifications/message", { level: "info", data: { a: 1 } }), 'info: {"a":1}');
  assert.equal(line("notifications/other", {}), undefined);
});

for (const args of [["schema"], ["help"], ["version", "--json"]]) {
  test(`${args[0]} exits with 1 where its output finds no room, and with 0 where its reader has gone`, async () => {
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), {
      code: "ENOSPC",
    });
    const gone = Object.assign(new Error("EPIPE: broken pipe, write"), { code: "EPIPE" });
    for (const [error, code] of [[full, 1], [gone, 0]] as const) {
      const io = new TestIo();
      Object.assign(io.stdout, { write: () => Promise.reject(error) });
      assert.equal(await main(args, io), code);
      assert.equal(
        /Cannot write the output: no space left on device/.test(io.stderrText),
        code === 1,
      );
    }
  });
}
