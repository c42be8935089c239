import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runtime } from "#runtime";
import type { DatagramSocket } from "../../src/runtime/types.ts";

// Each runtime has tests of its own here: Bun can neither send nor receive unix datagrams.
if (runtime.name === "bun") {
  test("openDatagram() is null on Bun", () => {
    assert.equal(runtime.openDatagram("/dev/log"), null);
  });
} else {
  testDatagrams();
}

interface Receiver extends AsyncDisposable {
  readonly directory: string;
  readonly path: string;
  next(): Promise<string>;
  close(): void;
}

async function receiver(address?: string): Promise<Receiver> {
  const directory = await mkdtemp(join(tmpdir(), "mcproxy-dgram-"));
  const path = address ?? join(directory, "log");
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  let open = true;
  const close = (): void => {
    if (open) socket.close();
    open = false;
  };
  return {
    directory,
    path,
    next: async () => new TextDecoder().decode((await socket.receive())[0]),
    close,
    async [Symbol.asyncDispose]() {
      close();
      await rm(directory, { recursive: true });
    },
  };
}

async function open(path: string): Promise<DatagramSocket> {
  const socket = await runtime.openDatagram(path);
  assert.ok(socket !== null);
  return socket;
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => (error as { code?: unknown }).code === code;
}

function testDatagrams(): void {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

  test("openDatagram() sends whole datagrams, and leaves no file behind", async () => {
    await using log = await receiver();
    const socket = await open(log.path);
    await socket.send(bytes("<14>one\n"));
    await socket.send(bytes("<14>two"));
    assert.equal(await log.next(), "<14>one\n");
    assert.equal(await log.next(), "<14>two");
    assert.deepEqual(await readdir(log.directory), ["log"]);
    socket.close();
    socket.close();
  });

  test("openDatagram() keeps the order of sends that were not awaited", async () => {
    await using log = await receiver();
    const socket = await open(log.path);
    const sent = Array.from({ length: 100 }, (_, i) => socket.send(bytes(String(i))));
    for (let i = 0; i < 100; i++) assert.equal(await log.next(), String(i));
    await Promise.all(sent);
    socket.close();
  });

  test("openDatagram() reaches an abstract address, as in NOTIFY_SOCKET", async () => {
    const name = `mcproxy-test-${crypto.randomUUID()}`;
    await using systemd = await receiver(`\0${name}`);
    for (const path of [`@${name}`, `\0${name}`]) {
      const socket = await open(path);
      await socket.send(bytes("READY=1"));
      assert.equal(await systemd.next(), "READY=1");
      socket.close();
    }
  });

  test("openDatagram() rejects where nothing is, or no socket", async () => {
    await using log = await receiver();
    await assert.rejects(open(join(log.directory, "missing")), hasCode("ENOENT"));
    const file = join(log.directory, "file");
    await writeFile(file, "");
    await assert.rejects(open(file), /it is no socket; expected a unix socket$/);
  });

  test("send() rejects while nobody receives, and finds a receiver that came back", async () => {
    await using log = await receiver();
    const socket = await open(log.path);
    log.close();
    await assert.rejects(socket.send(bytes("lost")), hasCode("ECONNREFUSED"));
    await rm(log.path);
    await assert.rejects(socket.send(bytes("lost")), hasCode("ENOENT"));
    await using again = await receiver(log.path);
    await socket.send(bytes("found"));
    assert.equal(await again.next(), "found");
    socket.close();
  });

  test("send() rejects a datagram that is too big, and goes on with the next", async () => {
    await using log = await receiver();
    const socket = await open(log.path);
    const big = socket.send(new Uint8Array(8_000_000));
    const small = socket.send(bytes("small"));
    await assert.rejects(big, hasCode("EMSGSIZE"));
    await small;
    assert.equal(await log.next(), "small");
    socket.close();
  });

  test("close() settles the sends to a receiver that does not read", async () => {
    await using log = await receiver();
    const socket = await open(log.path);
    const first = Promise.withResolvers<void>();
    const outcomes = Array.from(
      { length: 5000 },
      () => socket.send(bytes("x")).then(() => (first.resolve(), "sent"), (error) => error.message),
    );
    await first.promise;
    socket.close();
    const closed = `Cannot send to "${log.path}": the socket is closed; expected an open one`;
    const settled = await Promise.all(outcomes);
    assert.equal(settled.at(-1), closed);
    assert.deepEqual(new Set(settled), new Set(["sent", closed]));
    await assert.rejects(socket.send(bytes("x")), { message: closed });
  });
}
