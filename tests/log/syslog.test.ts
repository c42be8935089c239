import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { runtime } from "#runtime";
import { createRedactor } from "../../src/lib/secrets.ts";
import { renderEntry } from "../../src/log/entry.ts";
import { Pump } from "../../src/log/pump.ts";
import { openUdp, TcpWriter } from "../../src/log/syslog-remote.ts";
import { DatagramWriter, loggerArguments, LoggerWriter } from "../../src/log/syslog-transport.ts";
import { limitBytes, localSyslog, rfc5424 } from "../../src/log/syslog.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";
import { Inbox } from "../support/inbox.ts";
import { entry, record } from "./support.ts";
import { OWN_ADDRESS } from "../support/own-address.ts";

const who = { host: "box", app: "mcproxy", pid: 4711 };
const encode = (e: Parameters<typeof rfc5424>[0]) => rfc5424(e, who);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const plain = { format: "text" as const, redactor: createRedactor() };

test("rfc5424() is the grammar of RFC 5424", () => {
  const made = renderEntry(record("Ready in {ms} ms", { ms: 210, tools: 9 }), plain);
  assert.equal(
    rfc5424(made, who),
    "<30>1 2026-11-20T20:00:00.123Z box mcproxy 4711 upstream - " +
      "upstream memory: Ready in 210 ms  tools=9",
  );
  const fatal = renderEntry(record("a\nb", {}, { level: "fatal", category: [] }), plain);
  assert.equal(
    rfc5424(fatal, { ...who, host: "no ascii ü\n" }),
    "<26>1 2026-11-20T20:00:00.123Z noascii mcproxy 4711 - - : a\\nb",
  );
  const json = renderEntry(record("m", { a: 1 }), { ...plain, format: "json" });
  assert.match(rfc5424(json, who), / upstream - \{"ts":.*"a":1\}$/);
});

test("localSyslog() is the form of syslog(3)", () => {
  const made = renderEntry(record("m"), plain);
  assert.match(
    localSyslog(made, who),
    /^<30>Nov [ 12]\d \d\d:00:00 mcproxy\[4711\]: upstream memory: m$/,
  );
});

test("limitBytes() never ends inside a character", () => {
  const bytes = new TextEncoder().encode("aü→😀");
  const cut = Array.from({ length: bytes.length + 1 }, (_, n) => decode(limitBytes(bytes, n)));
  assert.deepEqual([...new Set(cut)], ["", "a", "aü", "aü→", "aü→😀"]);
});

test("DatagramWriter sends one datagram per entry and reopens a restarted receiver", async () => {
  const fake = new FakeRuntime();
  const first = fake.receiveDatagrams("/dev/log");
  const writer = new DatagramWriter({
    open: () => fake.openDatagram("/dev/log")!,
    encode,
    maxBytes: 8192,
  });
  assert.equal(await writer.write([entry("a"), entry("b")]), 2);
  assert.deepEqual(first.map((d) => decode(d).slice(-1)), ["a", "b"]);
  fake.stopReceiving("/dev/log");
  await assert.rejects(writer.write([entry("c")]), /nobody receives/);
  const second = fake.receiveDatagrams("/dev/log");
  assert.equal(await writer.write([entry("c")]), 1);
  assert.equal(second.length, 1);
  await writer.close();
  assert.deepEqual(fake.leaks(), []);
});

test("DatagramWriter cuts what the socket finds too big", async () => {
  const sent: number[] = [];
  const writer = new DatagramWriter({
    open: () =>
      Promise.resolve({
        send: (data) => {
          if (data.length > 1000) return Promise.reject(new Error("EMSGSIZE"));
          sent.push(data.length);
          return Promise.resolve();
        },
        close: () => {},
      }),
    encode,
    maxBytes: 8192,
  });
  assert.equal(await writer.write([entry("x".repeat(5000)), entry("short")]), 2);
  assert.equal(sent[0], 480);
  assert.equal(sent.length, 2);
});

test("DatagramWriter tells how many were taken before the receiver went away", async () => {
  let left = 2;
  const writer = new DatagramWriter({
    open: () =>
      Promise.resolve({
        send: () => left-- > 0 ? Promise.resolve() : Promise.reject(new Error("gone")),
        close: () => {},
      }),
    encode,
    maxBytes: 8192,
  });
  assert.equal(await writer.write([entry("a"), entry("b"), entry("c")]), 2);
});

test("openUdp() delivers to a real socket", async () => {
  const receiver = createSocket("udp4");
  receiver.bind(0, "127.0.0.1");
  await once(receiver, "listening");
  const { port } = receiver.address();
  const arrived = once(receiver, "message");
  const writer = new DatagramWriter({
    open: () => openUdp("127.0.0.1", port),
    encode,
    maxBytes: 2048,
  });
  // The socket itself does not keep a process alive.
  assert.equal(await writer.write([entry("x".repeat(9000))]), 1);
  const [message] = await arrived as [Uint8Array];
  assert.equal(message.length, 2048);
  assert.match(decode(message), /^<30>1 .* box mcproxy 4711 log - log: xxx/);
  await writer.close();
  receiver.close();
});

/** A syslog server on TCP that reads octet-counted frames. */
class TcpServer {
  readonly messages = new Inbox<string>("syslog messages");
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      let rest = new Uint8Array();
      socket.on("data", (chunk: Uint8Array) => {
        rest = new Uint8Array([...rest, ...chunk]);
        for (
          let frame = /^(\d+) /.exec(decode(rest));
          frame;
          frame = /^(\d+) /.exec(decode(rest))
        ) {
          const [head, length] = [frame[0].length, Number(frame[1])];
          if (rest.length < head + length) break;
          this.messages.push(decode(rest.subarray(head, head + length)));
          rest = rest.slice(head + length);
        }
      });
    });
  }

  async listen(port = 0): Promise<number> {
    this.#server.listen(port, OWN_ADDRESS);
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

test("TcpWriter: a server that is down at first and up later gets everything", async () => {
  const reserved = new TcpServer();
  const port = await reserved.listen();
  await reserved.stop();
  const outage = Promise.withResolvers<unknown>();
  const log = new Pump<{ text: string }>({
    writer: new TcpWriter({ host: OWN_ADDRESS, port, encode, maxBytes: 8192 }),
    render: ({ text }) => entry(text),
    notice: () => entry("dropped"),
    onOutage: outage.resolve,
  });
  // Neither the connection nor the pause keeps a process alive.
  const alive = setInterval(() => {}, 1000);
  log.push({ text: "before ü" });
  log.push({ text: "second\nline" });
  assert.match(String(await outage.promise), /Cannot connect to syslog "tcp:\/\/127\.[\d.]+:\d+"/);

  const server = new TcpServer();
  await server.listen(port);
  await server.messages.waitFor((message) => message.endsWith("log: before ü"));
  await server.messages.waitFor((message) => message.endsWith("log: second\\nline"));

  // It is restarted between two lines.
  await server.stop();
  const next = new TcpServer();
  await next.listen(port);
  // The first line may still go into the old connection, before its end is noticed.
  const lines = setInterval(() => log.push({ text: "after" }), 10);
  await next.messages.waitFor((message) => message.endsWith("log: after"));
  clearInterval(lines);
  await log.close(1000);
  assert.equal(log.stats.dropped, 0);
  await next.stop();
  clearInterval(alive);
});

test("TcpWriter gives up on a server that accepts and never reads", async () => {
  const server = createServer((socket) => socket.pause());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const writer = new TcpWriter({
    host: "127.0.0.1",
    port,
    encode: () => "x".repeat(60_000),
    maxBytes: 60_000,
    timeout: 200,
  });
  const many = Array.from({ length: 256 }, () => entry("x"));
  const alive = setInterval(() => {}, 1000);
  await assert.rejects(writer.write(many), /no progress in 200 ms/);
  clearInterval(alive);
  await writer.close();
  server.close();
});

test("loggerArguments() are pinned", () => {
  const options = { identity: who, rfc5424: false, maxBytes: 8192 };
  const common = [
    "--prio-prefix",
    "--skip-empty",
    "--socket-errors=on",
    "--tag=mcproxy",
    "--id=4711",
    "--size=8192",
  ];
  assert.deepEqual(loggerArguments(options), common);
  assert.deepEqual(loggerArguments({ ...options, socket: "/s", rfc5424: true }), [
    ...common,
    "--rfc5424=notq",
    "--socket=/s",
  ]);
});

test("LoggerWriter feeds one long-lived logger of the PATH", async () => {
  const folder = await mkdtemp(join(tmpdir(), "mcproxy-"));
  const out = join(folder, "out");
  const script = join(folder, "logger");
  await writeFile(script, `#!/bin/sh\necho "$*" >> ${out}.args\ncat >> ${out}\n`);
  await chmod(script, 0o755);
  const writer = new LoggerWriter({
    runtime,
    env: { PATH: `${folder}:${process.env.PATH}` },
    identity: who,
    rfc5424: true,
    maxBytes: 200,
  });
  await writer.write([entry("first")]);
  await writer.write([entry("ü".repeat(300)), entry("last")]);
  await writer.close();
  const lines = (await readFile(out, "utf8")).split("\n");
  assert.equal(lines[0], "<30>log: first");
  assert.match(lines[1] ?? "", /^<30>log: ü+$/);
  assert.ok(new TextEncoder().encode(lines[1]).length <= 200);
  assert.deepEqual(lines.slice(2), ["<30>log: last", ""]);
  // One that tries the socket, and the one that stays.
  const starts = (await readFile(`${out}.args`, "utf8")).trim().split("\n");
  assert.equal(starts.length, 2);
  assert.match(starts[0] ?? "", /--prio-prefix .*--tag=mcproxy --id=4711 .*--rfc5424/);
  await rm(folder, { recursive: true });
});

test("LoggerWriter says why there is no syslog", async () => {
  const missing = new LoggerWriter({
    runtime,
    env: { PATH: "/nowhere" },
    identity: who,
    rfc5424: true,
    maxBytes: 200,
  });
  await assert.rejects(missing.write([entry("a")]), /logger/);
  const folder = await mkdtemp(join(tmpdir(), "mcproxy-"));
  const script = join(folder, "logger");
  await writeFile(script, "#!/bin/sh\necho 'logger: socket /dev/log: No such file' >&2\nexit 1\n");
  await chmod(script, 0o755);
  const broken = new LoggerWriter({
    runtime,
    env: { PATH: `${folder}:${process.env.PATH}` },
    identity: who,
    rfc5424: true,
    maxBytes: 200,
  });
  await assert.rejects(broken.write([entry("a")]), /exit code 1, .*No such file/);
  await rm(folder, { recursive: true });
});

test("LoggerWriter starts anew when its logger dies or complains", async () => {
  const fake = new FakeRuntime({ name: "bun", programs: { logger: () => {} } });
  const writer = new LoggerWriter({
    runtime: fake,
    env: {},
    identity: who,
    rfc5424: true,
    maxBytes: 200,
  });
  await writer.write([entry("a")]);
  fake.children.at(-1)?.exit(1);
  await fake.children.at(-1)?.ended;
  await writer.write([entry("b")]);
  fake.children.at(-1)?.stderr("logger: send message failed: Connection refused\n");
  await fake.children.at(-1)?.ended;
  await writer.write([entry("c")]);
  await writer.close();
  const input = fake.children.map((child) => child.input.join(""));
  assert.deepEqual(input, ["", "<30>log: a\n", "", "<30>log: b\n", "", "<30>log: c\n"]);
  assert.deepEqual(fake.leaks(), []);
});
