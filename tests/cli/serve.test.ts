import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import process from "node:process";
import { test } from "node:test";
import { main } from "../../src/cli/main.ts";
import { startServer } from "../support/server.ts";
import { cacheEnv } from "../support/cache.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { eventually, within } from "../support/inbox.ts";
import { waitUntilGone } from "../support/process.ts";
import { configFile, TestInput, TestIo, type TestIoOptions } from "./support.ts";

const ENV = { ...process.env, ...cacheEnv() };

const ONE = { mcpServers: { one: fakeCommand({ tools: ["echo", "pid"], resources: 1 }) } };

interface Running {
  readonly io: TestIo;
  readonly exited: Promise<number>;
  /** Where it says it listens. */
  url(): Promise<string>;
}

/** Runs `serve` on a configuration, and stops it whatever the test does. */
async function serving(
  args: readonly string[],
  { config = ONE, ...options }: TestIoOptions & { readonly config?: unknown },
  check: (running: Running) => Promise<void>,
): Promise<void> {
  const file = await configFile(config);
  const io = new TestIo({ ...options, env: { PATH: process.env["PATH"], ...options.env } });
  const exited = main(["serve", "--config", file.path, ...args], io);
  const find = (text: string) => /http:\/\/127\.0\.0\.1:\d+\/mcp/.exec(text)?.[0];
  const url = async () => {
    const seen = () => find(io.stdoutText) ?? find(io.stderrText);
    const found = await eventually(seen, (text) => text !== undefined, "the address");
    // It is told before signals are listened to, and one that comes between is lost on a test's own.
    await eventually(() => io.listeners("SIGHUP"), (count) => count > 0, "its handlers");
    return found!;
  };
  try {
    await check({ io, exited, url });
  } finally {
    if (io.listeners("SIGTERM") > 0) io.signal("SIGTERM");
    if (io.listeners("SIGTERM") > 0) io.signal("SIGTERM");
    await within(exited, "the end of the program");
    await file.close();
  }
}

/** The process id of the one server, once it is ready. */
async function serverPid(url: string): Promise<number> {
  const status = new URL("/api/status", url);
  const ask = async () => (await (await fetch(status)).json()).servers[0];
  return (await eventually(ask, ({ state }) => state === "ready", "a ready server")).pid;
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`serve stops gracefully on ${signal} and exits with 0`, async () => {
    await serving(["--log", "--port", "0"], {}, async ({ io, exited, url }) => {
      const pid = await serverPid(await url());
      assert.match(io.stdoutText, /Listening on http:\/\/127\.0\.0\.1:\d+\/mcp/);
      assert.equal(io.stderrText, "");
      io.signal(signal);
      assert.equal(await exited, 0);
      await waitUntilGone(pid);
      for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
        assert.equal(io.listeners(name), 0);
      }
    });
  });
}

const STUBBORN = {
  mcpServers: { one: fakeCommand({ faults: { ignoreEof: true, ignoreSigterm: true } }) },
};

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  test(`serve exits at once with ${code} on a second signal, ${signal}`, async () => {
    await serving(["--log", "--port", "0"], { config: STUBBORN }, async ({ io, exited, url }) => {
      const pid = await serverPid(await url());
      io.signal(signal);
      io.signal(signal);
      assert.equal(await within(exited, "the forced exit"), code);
      await waitUntilGone(pid);
    });
  });
}

for (
  const [first, second] of [["SIGINT", "SIGTERM"], ["SIGTERM", "SIGINT"]] as const
) {
  test(`serve takes ${second} just after ${first} for the same wish`, async () => {
    await serving(["--log", "--port", "0"], {}, async ({ io, exited, url }) => {
      await serverPid(await url());
      io.signal(first);
      io.signal(second);
      assert.equal(await exited, 0);
    });
  });
}

test("serve is forced by the second signal of a kind, whichever came first", async () => {
  await serving(["--log", "--port", "0"], {}, async ({ io, exited, url }) => {
    await serverPid(await url());
    for (const signal of ["SIGINT", "SIGTERM", "SIGTERM"] as const) io.signal(signal);
    assert.equal(await exited, 143);
  });
});

test("serve stays up on SIGHUP and after an unhandled rejection, and logs both", async () => {
  await serving(["--log", "--port", "0"], {}, async ({ io, exited, url }) => {
    const address = await url();
    io.signal("SIGHUP");
    io.fail(new Error("lost promise"), "rejection");
    const logged = () => io.stdoutText;
    const again = /The configuration was read again: nothing has changed/;
    await eventually(logged, (text) => again.test(text), "the signal in the log");
    await eventually(logged, (text) => /lost promise/.test(text), "the rejection in the log");
    assert.equal((await fetch(new URL("/livez", address))).status, 200);
    io.signal("SIGTERM");
    assert.equal(await exited, 0);
  });
});

test("serve in a terminal reads again on SIGHUP, and ends when the terminal is closed", async () => {
  const terminal = { columns: 80, rows: 24 };
  const dumb = { terminal, env: { TERM: "dumb" } };
  await serving(["--log", "--port", "0"], dumb, async ({ io, exited, url }) => {
    await url();
    io.signal("SIGHUP");
    const logged = () => io.stdoutText;
    await eventually(logged, (text) => /was read again/.test(text), "the signal in the log");
    io.isInTerminal = false;
    io.signal("SIGHUP");
    assert.equal(await exited, 0);
    assert.match(io.stdoutText, /Stopping: the terminal was closed/);
  });
});

test("serve ends with its terminal also where SIGHUP comes first", async () => {
  const dumb = { terminal: { columns: 80, rows: 24 }, env: { TERM: "dumb" } };
  await serving(["--log", "--port", "0"], dumb, async ({ io, exited, url }) => {
    await url();
    io.signal("SIGHUP");
    io.isInTerminal = false;
    assert.equal(await exited, 0);
    assert.match(io.stdoutText, /Stopping: the terminal was closed/);
  });
});

test("serve stops and exits with 1 after an uncaught exception", async () => {
  await serving(["--log", "--port", "0"], {}, async ({ io, exited, url }) => {
    await url();
    io.fail(new Error("thrown in a timer"), "exception");
    assert.equal(await exited, 1);
    assert.match(io.stdoutText, /Uncaught exception: thrown in a timer/);
  });
});

test("serve tells the address on stderr when the log goes elsewhere", async () => {
  const config = { ...ONE, syslog: { udp: "127.0.0.1:9" } };
  await serving(["--port", "0"], { config }, async ({ io, url }) => {
    await url();
    assert.equal(io.stdoutText, "");
    assert.match(io.stderrText, /^Listening on http:\/\/127\.0\.0\.1:\d+\/mcp\n$/);
  });
});

test("serve tells the address also where the log leaves it out", async () => {
  await serving(["--port", "0", "--log", "--log-level", "error"], {}, async ({ io, url }) => {
    await url();
    assert.equal(io.stdoutText, "");
    assert.match(io.stderrText, /^Listening on /);
  });
});

test("serve --json writes events, one JSON object per line", async () => {
  const config = {
    mcpServers: { ...ONE.mcpServers, bad: { command: "mcproxy-no-such-command" } },
  };
  await serving(["--port", "0", "--json", "--log"], { config }, async ({ io, exited }) => {
    await io.out.waitFor((text) => text.includes('"event":"settled"'));
    io.signal("SIGTERM");
    await exited;
    const lines = io.stdoutText.trimEnd().split("\n").map((line) => JSON.parse(line));
    const events = lines.filter(({ event }) => event !== undefined);
    assert.deepEqual(events.map(({ event }) => event).sort(), [
      "listening",
      "server",
      "server",
      "settled",
    ]);
    assert.match(events[0].url, /^http:\/\/127\.0\.0\.1:\d+\/mcp$/);
    const one = events.find(({ name }) => name === "one");
    assert.deepEqual([one.state, one.error, one.counts.tools], ["ready", null, 2]);
    const bad = events.find(({ name }) => name === "bad");
    assert.equal(bad.state, "failed");
    assert.match(bad.error, /mcproxy-no-such-command/);
  });
});

test("serve on a terminal draws the servers, then leaves URL and snippets", async () => {
  const terminal = { columns: 120, rows: 40 };
  const env = { NO_COLOR: "1" };
  await serving(["--port", "0", "--log"], { terminal, env }, async ({ io, url }) => {
    const address = await url();
    const all = () => io.stderrText;
    await eventually(all, (text) => /✓ one +ready in \d+ ms/.test(text), "the ready server");
    const last = io.stderrText.slice(io.stderrText.lastIndexOf("mcproxy 0"));
    assert.ok(last.includes(`Listening on ${address}`));
    assert.ok(last.includes(`claude mcp add --transport http mcproxy ${address}`));
    assert.ok(!last.includes("\x1b[3"), "no colours with NO_COLOR");
    assert.match(io.stderrText, /connecting/);
  });
});

test("serve draws nothing when the log goes to a pipe from the same terminal", async () => {
  await serving(["--port", "0", "--log"], { env: { TERM: "dumb" } }, async ({ io, url }) => {
    await url();
    assert.equal(io.stderrText, "");
  });
});

test("serve exits with 1 where the address is taken, and says by whom", async () => {
  const file = await configFile(ONE);
  const server = await startServer({ config: file.path, port: 0, env: ENV });
  try {
    const { port } = new URL(server.url);
    const config = { mcpServers: {} };
    await serving(["--log", "--port", port], { config }, async ({ io, exited }) => {
      assert.equal(await exited, 1);
      assert.match(io.stderrText, new RegExp(`^Cannot listen on "127.0.0.1:${port}"`));
      assert.match(io.stderrText, /Another mcproxy runs there/);
      assert.ok(io.stderrText.includes(file.path));
      assert.match(io.stderrText, /--port/);
    });
  } finally {
    await server.close();
    await file.close();
  }
});

/** A listener that holds its port, and the text that it is sent. */
async function listening() {
  let text = "";
  const server = createServer((socket) => {
    socket.setEncoding("utf8").on("data", (part) => void (text += part));
  });
  await new Promise<void>((ready) => void server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as AddressInfo;
  return { port, text: () => text, close: () => server.close() };
}

test("serve tells syslog, too, that the address is taken", async () => {
  const [taken, syslog] = [await listening(), await listening()];
  try {
    const config = { mcpServers: {}, syslog: { tcp: `127.0.0.1:${syslog.port}` } };
    await serving(["--port", String(taken.port)], { config }, async ({ io, exited }) => {
      const line = new RegExp(`<\\d+>1 .* Cannot listen on "127.0.0.1:${taken.port}"`);
      await eventually(syslog.text, (text) => line.test(text), "the line in syslog");
      assert.equal(await exited, 1);
      assert.match(io.stderrText, /^Cannot listen on/);
    });
  } finally {
    taken.close();
    syslog.close();
  }
});

const BROKEN: Readonly<Record<string, { readonly config: string; readonly says: RegExp[] }>> = {
  "entries that are wrong": {
    config: '{\n "mcpServers": { "a": { "comand": "x" },\n "b": { "url": "ftp://h" } } }',
    says: [/<26>1 [^<]*json:2:\d+ [^<]*comand/, /<26>1 [^<]*json:3:\d+ [^<]*ftp:/],
  },
  "text that is no JSON": {
    config: '{ "syslog": { "udp": "elsewhere" }, "mcpServers": {} ',
    says: [/<26>1 [^<]*json:1:\d+: found the end of the file/],
  },
  "servers that are no object": {
    config: '{ "mcpServers": 7 }',
    says: [/<26>1 [^<]*json:1:\d+ mcpServers: found a number/],
  },
};

for (const [what, { config, says }] of Object.entries(BROKEN)) {
  test(`serve tells the syslog it knows without the file, too, of ${what}`, async () => {
    const syslog = await listening();
    // A journal does not read what another syslog is meant for.
    const env = { MCPROXY_SYSLOG: `{"tcp":"127.0.0.1:${syslog.port}"}`, JOURNAL_STREAM: "8:1" };
    try {
      await serving([], { config, env }, async ({ io, exited }) => {
        const isThere = (text: string) => says.every((line) => line.test(text));
        await eventually(syslog.text, isThere, "the lines in syslog");
        assert.equal(await exited, 3);
        assert.match(io.stderrText, /json:\d+:\d+/);
        assert.doesNotMatch(io.stderrText, /fatal/);
      });
    } finally {
      syslog.close();
    }
  });
}

test("serve tells a person at a terminal what is wrong with the start, and no syslog", async () => {
  const syslog = await listening();
  const env = { MCPROXY_SYSLOG: `{"tcp":"127.0.0.1:${syslog.port}"}` };
  const terminal = { columns: 80, rows: 24 };
  try {
    for (const [args, config, code] of [[["--port", "x"], ONE, 2], [[], "{", 3]] as const) {
      await serving(args, { config, env, terminal }, async ({ exited }) => {
        assert.equal(await exited, code);
      });
    }
    assert.equal(syslog.text(), "");
    await serving(["--port", "x"], { env }, async ({ exited }) => {
      assert.equal(await exited, 2);
      await eventually(syslog.text, (text) => text.includes("--port"), "the line in syslog");
      assert.equal(syslog.text().match(/<26>/g)?.length, 1);
    });
  } finally {
    syslog.close();
  }
});

test("serve prints once what no syslog takes of an invalid configuration", async () => {
  const { config } = BROKEN["servers that are no object"]!;
  const env = { MCPROXY_SYSLOG: '{"socket":"/nowhere/syslog"}' };
  await serving([], { config, env }, async ({ io, exited }) => {
    assert.equal(await exited, 3);
    assert.equal(io.stderrText.trimEnd().split("\n").length, 1, io.stderrText);
  });
});

test("serve exits with 3 and every issue of an invalid configuration", async () => {
  const config = '{\n "mcpServers": { "a": { "comand": "x" },\n "b": { "url": "ftp://h" } } }';
  await serving(["--log"], { config }, async ({ io, exited }) => {
    assert.equal(await exited, 3);
    assert.equal(io.stdoutText, "");
    assert.match(io.stderrText, /mcp-servers\.json:2:\d+ mcpServers\.a/);
    assert.match(io.stderrText, /mcp-servers\.json:3:\d+ mcpServers\.b\.url/);
  });
});

test("serve never logs a secret of its configuration", async () => {
  const secret = "s3cr3t-value-of-mine";
  const config = {
    mcpServers: {
      one: { command: "mcproxy-no-such", args: ["--token", secret], env: { K: secret } },
    },
  };
  const args = ["--log", "--log-level", "trace", "--port", "0"];
  await serving(args, { config }, async ({ io, exited }) => {
    await io.out.waitFor((text) => text.includes("settled"));
    io.signal("SIGTERM");
    await exited;
    assert.ok(!io.stdoutText.includes(secret), io.stdoutText);
  });
});

test("serve --stdio speaks only the protocol on stdout and ends with stdin", async () => {
  const stdin = new TestInput();
  await serving(["--stdio", "--log"], { stdin }, async ({ io, exited }) => {
    const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t" } };
    stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params })}\n`);
    await io.out.waitFor((text) => text.includes('"id":1'));
    stdin.write(`{"jsonrpc":"2.0","method":"notifications/initialized"}\n`);
    stdin.write(`{"jsonrpc":"2.0","id":2,"method":"tools/call",`);
    stdin.write(`"params":{"name":"one_echo","arguments":{"a":1}}}\n`);
    const answer = await io.out.waitFor((text) => text.includes('"id":2'));
    assert.equal(JSON.parse(answer).result.content[0].text, '{"a":1}');
    stdin.end();
    assert.equal(await exited, 0);
    for (const line of io.stdoutText.trimEnd().split("\n")) {
      assert.equal(JSON.parse(line).jsonrpc, "2.0");
    }
    assert.match(io.stderrText, /Stopping: stdin has ended/);
    assert.doesNotMatch(io.stderrText, /Listening/);
  });
});

test("serve --stdio --port listens beside it", async () => {
  const stdin = new TestInput();
  await serving(["--stdio", "--port", "0", "--log"], { stdin }, async ({ io, exited, url }) => {
    assert.equal((await fetch(new URL("/livez", await url()))).status, 200);
    assert.equal(io.stdoutText, "");
    stdin.end();
    assert.equal(await exited, 0);
  });
});

test("startServer() listens, logs lines, and stops", async () => {
  const file = await configFile(ONE);
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const server = await startServer({ config: file.path, port: 0, env: ENV, log });
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+\/mcp$/);
  assert.equal((await fetch(new URL("/livez", server.url))).status, 200);
  const { url } = server;
  await server.close();
  await server.close();
  await file.close();
  assert.ok(lines.some((line) => line.includes(`Listening on ${url}`)));
  await assert.rejects(fetch(new URL("/livez", url)));
});

test("startServer() rejects as the command would end", async () => {
  await assert.rejects(startServer({ config: "/nowhere/file.json" }), { exitCode: 3 });
});
