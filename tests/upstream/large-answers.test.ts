/** Large answers of a server reached by URL, many of them at once. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runtime } from "#runtime";
import type { HttpTarget } from "../../src/config/types.ts";
import { nextTurn } from "../../src/lib/time.ts";
import { HttpClient } from "../../src/upstream/transport/http-client.ts";
import { within } from "../support/inbox.ts";
import { serveHttp } from "./fakes/http-server.ts";
import { httpTarget } from "./support.ts";

/** An answer that comes when it is told to, over a connection of its own. */
function answering(target: HttpTarget, kind: "text" | "events" = "text") {
  const client = new HttpClient({ server: "x", target });
  let stream!: ReadableStreamDefaultController<Uint8Array>;
  const response = new Response(new ReadableStream({ start: (given) => void (stream = given) }));
  let isOver = false;
  const read = kind === "text"
    ? client.text(response, "x")
    : client.events(response, "x", { onEvent: () => {} });
  const outcome = read.then(() => "whole", (error) => `${error.message}`).finally(() =>
    isOver = true
  );
  return {
    outcome,
    come: async (text: string, times = 1) => {
      for (const bytes = new TextEncoder().encode(text); times > 0 && !isOver; times--) {
        stream.enqueue(bytes);
        do await nextTurn(); while (!isOver && stream.desiredSize! < 1);
      }
    },
    end: () => stream.close(),
  };
}

const MIB = "x".repeat(1024 * 1024);

for (const kind of ["text", "events"] as const) {
  test(`What one server answers at once is bounded over all its connections: ${kind}`, async () => {
    const target = httpTarget("http://localhost/") as HttpTarget;
    const oldest = answering(target, kind);
    await oldest.come(MIB, 2);
    const large = [answering(target), answering(target), answering(target, "events")];
    await Promise.all(large.map((one, index) => one.come(MIB, [60, 60, 20][index])));
    const last = answering(target, kind);
    await last.come(MIB);
    let isRead = false;
    const rest = last.come(MIB, 2).then(() => isRead = true);
    const small = answering(target, kind);
    await small.come("x".repeat(60 * 1024));
    small.end();
    assert.equal(await small.outcome, "whole");
    const other = answering({ ...target }, kind);
    await other.come(MIB);
    other.end();
    assert.equal(await other.outcome, "whole", "that of another server");
    await oldest.come(MIB, 2);
    oldest.end();
    assert.equal(await oldest.outcome, "whole", "the one that is read longest");
    for (let turns = 0; turns < 5; turns++) await nextTurn();
    assert.equal(isRead, false, "what is beyond the bound waits");
    large[0]!.end();
    assert.equal(await large[0]!.outcome, "whole");
    await rest;
    for (const one of [...large, last].slice(1)) one.end();
    assert.equal(await last.outcome, "whole");
    for (const one of large) assert.equal(await one.outcome, "whole");
  });
}

test("An answer that waits for room is given up with its request", async () => {
  const server = await serveHttp((_, response) => void response.writeHead(200).write(MIB));
  const target = httpTarget(server.url) as HttpTarget;
  const large = [answering(target), answering(target), answering(target)];
  try {
    for (const one of large) await one.come(MIB, 45);
    const client = new HttpClient({ server: "x", target, runtime });
    for (const method of ["GET", "POST"] as const) {
      const stop = new AbortController();
      const { signal } = stop;
      const response = await client.send({ method, headers: {}, signal, what: "x" });
      let isOver = false;
      const read = client.text(response, "x").then(() => "whole", () => "given up")
        .finally(() => isOver = true);
      for (let turns = 0; turns < 5; turns++) await nextTurn();
      assert.equal(isOver, false);
      stop.abort();
      assert.equal(await within(read, "the end"), "given up");
    }
  } finally {
    await server.close();
    for (const one of large) one.end();
  }
});

test("An answer is what the server sent, whatever it was cut into, or it broke off", async () => {
  const sizes = [1, 4_095, 4_096, 4_097, 3, 16_384, 70_000, 65_536, 200_000];
  const parts = sizes.map((size, index) => `${index}é`.repeat(size).slice(0, size));
  const whole = parts.join("");
  const server = await serveHttp(async ({ url }, response) => {
    if (url === "/small") return void response.end(parts[1]);
    if (url === "/cut") {
      response.writeHead(200, { "content-length": "100" });
      return void response.write("begun", () => response.destroy());
    }
    for (const part of parts) {
      await new Promise<void>((taken) => response.write(part, () => taken()));
      await nextTurn();
    }
    response.end();
  });
  const ask = async (path: string) => {
    const client = new HttpClient({
      server: "x",
      target: httpTarget(`${server.url}${path}`) as HttpTarget,
    });
    const { signal } = new AbortController();
    const sent = { method: "POST", headers: {}, body: "{}", signal, what: "it" } as const;
    return await client.text(await client.send(sent), "it");
  };
  try {
    assert.equal(await ask("/small"), parts[1]);
    assert.ok(await ask("/whole") === whole);
    await assert.rejects(
      ask("/cut"),
      /^\w+: Server "x" broke off its answer to it: connection closed$/,
    );
  } finally {
    await server.close();
  }
});

test("An answer that is given up is over, though its stream never is", async () => {
  const client = new HttpClient({
    server: "x",
    target: httpTarget("http://localhost/") as HttpTarget,
  });
  const bytes = new TextEncoder().encode(MIB);
  const endless = new ReadableStream({
    pull: (stream) => stream.enqueue(bytes),
    cancel: () => new Promise(() => {}),
  });
  const read = client.text(new Response(endless), "x");
  await assert.rejects(within(read, "the answer"), /with more than 64 MiB$/);
});

test("What has come of an event stream counts no longer than until it was handed on", async () => {
  const target = httpTarget("http://localhost/") as HttpTarget;
  const streams = [`data: ${MIB}\n\n`, `: ${MIB}\r\n\r\n`, `event: ping\nx: ${MIB}\n\n`];
  const open = streams.map((text) => ({ text, stream: answering(target, "events") }));
  for (const { text, stream } of open) await stream.come(text, 45);
  const next = answering(target);
  await next.come(MIB);
  for (const one of [...open.map(({ stream }) => stream), next]) {
    one.end();
    assert.equal(await one.outcome, "whole");
  }
  for (const [first, rest] of [["\n", "\n"], ["\r\n\r", "\n"]] as const) {
    const apart = answering(target, "events");
    for (let times = 0; times < 66; times++) {
      await apart.come(`data: ${MIB}${first}`);
      await apart.come(rest);
    }
    apart.end();
    assert.equal(await apart.outcome, "whole", "an event whose end comes apart");
  }
  const endless = answering(target, "events");
  await endless.come(`data: ${MIB}`, 70);
  assert.equal(await endless.outcome, 'Server "x" answered x with more than 64 MiB');
});

// One that can be read into what is there already, and one that cannot.
for (const type of ["bytes", undefined] as const) {
  test(`What is on a stream of ${type ?? "chunks"} is the same, wherever it is cut`, async () => {
    const texts = [
      "event: message\ndata: a\n\n",
      "data: é\n\n",
      "data: two\ndata: lines\n\n",
      "data: \n\n",
      "event: other\ndata: b\n\n",
      "id: 7\nretry: 90\ndata: c\n\n",
      ": note\r\n\r\ndata: d\r\n\r\n",
      "data:e\n\ndata: f\n\n",
      "data: g\n",
      "\n",
      "data: lost\n",
    ];
    const client = new HttpClient({
      server: "x",
      target: httpTarget("http://localhost/") as HttpTarget,
    });
    const told = async (chunks: readonly Uint8Array[]) => {
      const all: string[] = [];
      const body = new ReadableStream({
        type: type as undefined,
        start(stream) {
          for (const chunk of chunks) stream.enqueue(chunk.slice());
          stream.close();
        },
      });
      await client.events(new Response(body), "x", {
        onEvent: ({ event = "message", data }) => void all.push(`${event} ${data}`),
        onId: (id) => void all.push(`id ${id}`),
        onRetry: (ms) => void all.push(`retry ${ms}`),
      });
      return all;
    };
    const encoder = new TextEncoder();
    const whole = encoder.encode(texts.join(""));
    const expected = await told([...whole].map((byte) => Uint8Array.of(byte)));
    assert.deepEqual(expected.filter((one) => /^message .$/.test(one)).map((one) => one.at(-1)), [
      ...["a", "é", "c", "d", "e", "f", "g"],
    ]);
    assert.deepEqual(await told(texts.map((text) => encoder.encode(text))), expected);
    for (let at = 1; at < whole.length; at++) {
      assert.deepEqual(await told([whole.slice(0, at), whole.slice(at)]), expected, `cut at ${at}`);
    }
  });
}
