import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { runtime as realRuntime } from "#runtime";
import { configureLogging, getLogger, type LoggingOptions, textLogger } from "../../src/log/mod.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";
import { FakeOutput, fakeOutputs, turn } from "./support.ts";

function setUp(options: Partial<LoggingOptions> = {}) {
  const outputs = fakeOutputs();
  const runtime = new FakeRuntime();
  const configured = configureLogging({
    destination: { kind: "stdout" },
    format: "text",
    level: "info",
    env: {},
    runtime,
    outputs,
    ...options,
  });
  return { outputs, runtime, configured };
}

const log = getLogger("mcproxy", "upstream", "memory");
const messages = (output: FakeOutput) => output.lines.map((line) => line.split("  ").at(-1));

test("configureLogging() writes the records of every category to the destination", async () => {
  const { outputs, configured } = setUp();
  const logging = await configured;
  log.info("Ready in {ms} ms", { ms: 1, rid: "ab12" });
  getLogger("elsewhere").warn("Hm");
  log.debug("Not shown");
  await logging.close();
  assert.match(
    outputs.stdout.lines[0] ?? "",
    /Z info {2}upstream memory {2}Ready in 1 ms {2}rid=ab12$/,
  );
  assert.match(outputs.stdout.lines[1] ?? "", /Z warn {2}elsewhere {8}Hm$/);
  assert.equal(outputs.stdout.lines.length, 2);
  assert.deepEqual(logging.stats(), { written: 2, dropped: 0 });
  log.info("After the end");
  await logging.close();
  assert.equal(outputs.stdout.lines.length, 2);
});

test("setLevel() and setSecrets() act at once, on loggers made before", async () => {
  const { outputs, configured } = setUp();
  const logging = await configured;
  log.debug("one");
  logging.setLevel("debug");
  log.debug("two");
  logging.setLevel("error");
  log.info("three");
  await turn();
  logging.setSecrets(["hunter22"]);
  log.error("four hunter22");
  await logging.close();
  assert.deepEqual(messages(outputs.stdout), ["two", "four [redacted]"]);
  logging.setLevel("trace");
  log.info("five");
  await turn();
  assert.equal(outputs.stdout.lines.length, 2);
});

test("a record shows its properties as they were when it was logged", async () => {
  const { outputs, configured } = setUp();
  const logging = await configured;
  const properties = { state: "connecting" };
  log.info("Now {state}", properties);
  properties.state = "ready";
  await logging.close();
  assert.deepEqual(messages(outputs.stdout), ["Now connecting"]);
});

test("forbidStdout: nothing reaches stdout, whatever the destination", async () => {
  const kinds: Partial<LoggingOptions>[] = [
    { destination: { kind: "stdout" } },
    { destination: { kind: "syslog" }, env: { JOURNAL_STREAM: "8:1" } },
    { destination: { kind: "syslog" } },
  ];
  for (const kind of kinds) {
    const { outputs, configured } = setUp({ ...kind, forbidStdout: true });
    const logging = await configured;
    log.info("Hello");
    await logging.close();
    assert.equal(outputs.stdout.text, "");
    assert.match(outputs.stderr.text, /Hello\n$/);
  }
});

test("under systemd the log is stdout with priorities", async () => {
  const { outputs, configured } = setUp({
    destination: { kind: "syslog" },
    env: { JOURNAL_STREAM: "8:1" },
  });
  const logging = await configured;
  log.warn("Hello\n<0>forged");
  await logging.close();
  assert.deepEqual(outputs.stdout.lines, ["<4>upstream memory: Hello\\n<0>forged"]);
  assert.equal(outputs.stderr.text, "");
});

test("syslog goes to /dev/log where somebody receives", async () => {
  const { outputs, runtime, configured: early } = setUp({ destination: { kind: "syslog" } });
  await (await early).close();
  const received = runtime.receiveDatagrams("/dev/log");
  const logging = await setUp({ destination: { kind: "syslog" }, runtime }).configured;
  log.info("Hello");
  await logging.close();
  assert.match(
    received.map((data) => new TextDecoder().decode(data)).join(),
    /^<30>(1 )?.* mcproxy.*upstream memory: Hello$/,
  );
  assert.equal(outputs.stderr.text, "");
  assert.deepEqual(runtime.leaks(), []);
});

test("syslog to another socket is RFC 5424", async () => {
  const runtime = new FakeRuntime();
  const received = runtime.receiveDatagrams("/run/log.sock");
  const destination = { kind: "syslog", target: { socket: "/run/log.sock" } } as const;
  // An explicit target counts for more than the journal.
  const env = { JOURNAL_STREAM: "8:1" };
  const logging = await setUp({ destination, env, runtime }).configured;
  log.fatal("Hello");
  await logging.close();
  assert.match(
    received.map((data) => new TextDecoder().decode(data)).join(),
    /^<26>1 \S+Z \S+ mcproxy \d+ upstream - upstream memory: Hello$/,
  );
});

test("no syslog to be had: one warning on stderr, then stderr", async () => {
  for (const name of ["deno", "bun"] as const) {
    const { outputs, configured } = setUp({
      destination: { kind: "syslog" },
      runtime: new FakeRuntime({ name }),
    });
    const logging = await configured;
    log.info("one");
    await outputs.stderr.until(/one/);
    log.info("two");
    await logging.close();
    const [warning, ...rest] = outputs.stderr.lines;
    assert.match(warning ?? "", /Z warn {2}log +Cannot log to \/dev\/log, logging to stderr: /);
    assert.deepEqual(rest.map((line) => line.slice(-3)), ["one", "two"]);
    assert.equal(outputs.stdout.text, "");
  }
});

test("a broken stdout is told once on stderr, where the log goes on", async () => {
  const { outputs, configured } = setUp({ format: "json" });
  outputs.stdout.failure = Object.assign(new Error("EPIPE: broken pipe"), { code: "EPIPE" });
  const logging = await configured;
  log.info("one");
  log.info("two");
  await logging.close();
  assert.deepEqual(outputs.stderr.lines.map((line) => JSON.parse(line).msg), [
    "Cannot log to standard output, logging to stderr: EPIPE: broken pipe",
    "one",
    "two",
  ]);
});

test("an unreachable server is told once on stderr, and the log waits for it", async () => {
  const { outputs, configured } = setUp({
    // Port 9 of the loopback address: refused.
    destination: { kind: "syslog", target: { tcp: { host: "127.0.0.1", port: 9 } } },
  });
  const logging = await configured;
  log.info("one");
  await outputs.stderr.until(/retrying/);
  await logging.close();
  assert.equal(outputs.stderr.lines.length, 1);
  assert.match(outputs.stderr.text, /Cannot log to syslog "tcp:\/\/127.0.0.1:9", retrying: /);
  assert.deepEqual(logging.stats(), { written: 0, dropped: 1 });
});

test("logging stays quick while nobody reads, and says what was dropped", async () => {
  const { outputs, configured } = setUp({ capacity: 100 });
  const gate = Promise.withResolvers<void>();
  outputs.stdout.gate = gate.promise;
  const logging = await configured;
  for (let i = 0; i < 1_000; i++) log.info("line {i}", { i });
  await turn();
  assert.deepEqual(logging.stats(), { written: 0, dropped: 900 });
  gate.resolve();
  await outputs.stdout.until(/dropped/);
  log.info("again");
  await logging.close();
  assert.deepEqual(messages(outputs.stdout).slice(99), [
    "line 99",
    "dropped 900 log records",
    "again",
  ]);
});

test("colours need a terminal and no NO_COLOR", async () => {
  const colored = async (isTerminal: boolean, env: Record<string, string>) => {
    const outputs = { stdout: new FakeOutput({ isTerminal }), stderr: new FakeOutput() };
    const logging = await setUp({ outputs, env }).configured;
    log.info("Hello");
    await logging.close();
    return outputs.stdout.text.includes("\x1b[");
  };
  assert.equal(await colored(true, {}), true);
  assert.equal(await colored(true, { NO_COLOR: "" }), true);
  assert.equal(await colored(true, { NO_COLOR: "1" }), false);
  assert.equal(await colored(true, { TERM: "dumb" }), false);
  assert.equal(await colored(false, {}), false);
});

test("the latest configuration counts", async () => {
  const first = setUp();
  const old = await first.configured;
  const second = setUp();
  const current = await second.configured;
  old.setLevel("trace");
  await old.close();
  log.info("Hello");
  await current.close();
  assert.deepEqual([first.outputs.stdout.lines.length, second.outputs.stdout.lines.length], [0, 1]);
});

test("the real runtime reaches a unix socket, by datagram or through logger", async () => {
  const folder = await mkdtemp(join(tmpdir(), "mcproxy-"));
  const path = join(folder, "log");
  const out = join(folder, "out");
  // Bun's way out; it has no datagrams to receive with either.
  await writeFile(join(folder, "logger"), `#!/bin/sh\ncat >> ${out}\n`);
  await chmod(join(folder, "logger"), 0o755);
  const receiver = realRuntime.name === "deno"
    ? Deno.listenDatagram({ transport: "unixpacket", path })
    : null;
  const { outputs, configured } = setUp({
    destination: { kind: "syslog", target: { socket: path } },
    runtime: realRuntime,
    env: { PATH: `${folder}:${process.env.PATH}` },
  });
  const logging = await configured;
  log.error("Grüße");
  await logging.close();
  const text = receiver === null
    ? await readFile(out, "utf8")
    : new TextDecoder().decode((await receiver.receive())[0]);
  receiver?.close();
  assert.match(text, /^<27>(1 .* mcproxy \d+ upstream - )?upstream memory: Grüße\n?$/);
  assert.equal(outputs.stderr.text, "");
  await rm(folder, { recursive: true });
});

test("textLogger() takes every text as it is", async () => {
  const outputs = fakeOutputs();
  const logging = await configureLogging({
    destination: { kind: "stderr" },
    format: "text",
    level: "info",
    env: {},
    runtime: realRuntime,
    outputs,
  });
  const log = textLogger(getLogger("mcproxy", "upstream", "x"));
  for (const text of ['{"msg": "no key"}', "{server}", "{{a}}", "{*}", "}{"]) {
    log.info(`stderr: ${text}`, { server: "x" });
  }
  await logging.close();
  const told = outputs.stderr.lines.map((line) => line.replace(/^.*?stderr: /, ""));
  assert.deepEqual(told, [
    '{"msg": "no key"}  server=x',
    "{server}  server=x",
    "{{a}}  server=x",
    "{*}  server=x",
    "}{  server=x",
  ]);
});
