/** Whom alerts are told, and how: by real requests and programs. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import type { AlertChannel } from "../../../src/config/types.ts";
import { type AlertMessage, ChannelQueue, tellOnce } from "../../../src/observe/alerts/channels.ts";
import { inDirectory } from "../../config/temp.ts";
import { Scope } from "../../behaviour/scope.ts";
import { eventually, Inbox } from "../../support/inbox.ts";
import { entryOf } from "../../support/process-table.ts";

const MESSAGE: AlertMessage = {
  id: "p-1",
  rule: "down",
  subject: "a",
  state: "firing",
  since: 1_795_996_800_000,
  text: 'Server "a" is <down>',
  url: "http://127.0.0.1:12009/#/alerts",
};

interface Got {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Answers with a status; with 0 never. */
async function listening(scope: Scope, status: number) {
  const got = new Inbox<Got>("what the channel got");
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    got.push({ path: request.url!, headers: request.headers, body });
    if (status > 0) response.writeHead(status, { location: "/elsewhere" }).end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  scope.defer(close);
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { got, host, close };
}

const at = (kind: "webhook" | "ntfy" | "slack", url: string): AlertChannel => ({ kind, url });
const parts = { runtime, patience: 5_000 };

/** Time that is always over. */
const clock = {
  now: () => 0,
  after: (_: number, callback: () => void) => {
    queueMicrotask(callback);
    return () => {};
  },
};

test("a webhook gets the alert as JSON", async () => {
  await using scope = new Scope();
  const { got, host } = await listening(scope, 204);
  await tellOnce(at("webhook", `http://u:p%40ss@${host}/hook?key=1`), MESSAGE, parts);
  const [{ path, headers, body }] = got.items as [Got];
  assert.equal(path, "/hook?key=1");
  assert.deepEqual(JSON.parse(body), MESSAGE);
  assert.equal(headers["content-type"], "application/json");
  assert.equal(headers.authorization, `Basic ${btoa("u:p@ss")}`);
});

test("ntfy gets text with a title, Slack text without markup", async () => {
  await using scope = new Scope();
  const { got, host } = await listening(scope, 200);
  await tellOnce(at("ntfy", `http://${host}/topic`), MESSAGE, parts);
  await tellOnce(at("slack", `http://${host}/T/B`), MESSAGE, parts);
  const [ntfy, slack] = got.items as [Got, Got];
  const { title, priority, click } = ntfy.headers;
  assert.deepEqual([ntfy.path, ntfy.body], ["/topic", MESSAGE.text]);
  assert.deepEqual([title, priority, click], ["mcproxy: down firing", "high", MESSAGE.url]);
  const text = `mcproxy: Server "a" is &lt;down&gt; (firing)\n${MESSAGE.url}`;
  assert.deepEqual(JSON.parse(slack.body), { text });
});

test("a program gets it on stdin, and nothing of the gateway's secrets", () =>
  inDirectory(async (directory) => {
    const file = join(directory, "out");
    const script = `cat > "$1"; env >> "$1"`;
    const channel = { kind: "command", command: ["sh", "-c", script, "sh", file] } as const;
    await tellOnce(channel, MESSAGE, parts);
    const [json = "", ...env] = (await readFile(file, "utf8")).split("\n");
    assert.deepEqual(JSON.parse(json), MESSAGE);
    assert.ok(env.some((line) => line.startsWith("PATH=")));
    assert.ok(!env.some((line) => line.startsWith("MCPROXY_")));
  }));

const PROGRAMS: readonly (readonly [readonly [string, ...string[]], number, RegExp])[] = [
  [["sh", "-c", "exit 3"], 5_000, /^it ended with code 3$/],
  [["sh", "-c", "while :; do sleep 60; done"], 100, /^no answer within 0.1 s$/],
  [["mcproxy-no-such-program"], 5_000, /mcproxy-no-such-program/],
];

for (const [command, patience, why] of PROGRAMS) {
  test(`"${command.join(" ")}" has told nobody`, async () => {
    const told = tellOnce({ kind: "command", command }, MESSAGE, { runtime, patience });
    await assert.rejects(told, ({ message }: Error) => why.test(message));
  });
}

test("a program that does not end is ended with all it has started, whatever it says", () =>
  inDirectory(async (directory) => {
    const file = join(directory, "pids");
    const script = `trap "" TERM; sleep 600 & echo $! $$ > "$1"; yes; `;
    const channel = { kind: "command", command: ["sh", "-c", script, "sh", file] } as const;
    const stop = new AbortController();
    const told = tellOnce(channel, MESSAGE, parts, [stop.signal]);
    const read = () => readFile(file, "utf8").catch(() => "");
    const pids = (await eventually(read, (text) => text.endsWith("\n"), "the program"))
      .trim().split(" ").map(Number);
    assert.equal(pids.filter(isAlive).length, 2);
    stop.abort();
    await assert.rejects(told);
    await eventually(() => pids.filter(isAlive).length, (count) => count === 0, "their end");
  }));

const isAlive = (pid: number) => entryOf(pid)?.isZombie === false;

test("what never ends to answer has been told, and is left", async () => {
  await using scope = new Scope();
  const left = Promise.withResolvers<void>();
  const server = createServer((_, response) => {
    const more = () => {
      while (response.write("x".repeat(65_536)));
    };
    response.on("drain", more).on("close", left.resolve).writeHead(200);
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  scope.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  await tellOnce(at("webhook", `http://127.0.0.1:${port}/`), MESSAGE, parts);
  await left.promise;
});

test("a redirect is not followed, and no failure names the address", async () => {
  await using scope = new Scope();
  const secret = "canary-7731";
  const { got, host } = await listening(scope, 307);
  const hanging = await listening(scope, 0);
  const fails = async (host: string, patience: number) => {
    const told = tellOnce(at("slack", `http://${host}/${secret}`), MESSAGE, { runtime, patience });
    const why = await told.then(() => "", (error: unknown) => String(error));
    assert.ok(why !== "" && !why.includes(secret), why);
    return why;
  };
  assert.match(await fails(host, 5_000), /answered/);
  assert.deepEqual(got.items.map(({ path }) => path), [`/${secret}`]);
  assert.match(await fails(hanging.host, 100), /no answer within 0.1 s/);
  const closed = await listening(scope, 200);
  closed.close();
  assert.match(await fails(closed.host, 5_000), /connection refused/);
});

test("it is tried three times, one after the other, and then the next", async () => {
  await using scope = new Scope();
  const { got, host } = await listening(scope, 500);
  const told: string[] = [];
  const onEnd = ({ id }: AlertMessage, isTold: boolean) => isTold && told.push(id);
  const outlet = new ChannelQueue(at("webhook", `http://${host}/`), { ...parts, clock, onEnd });
  scope.defer(() => outlet.close());
  for (const id of ["p-1", "p-2"]) outlet.push({ ...MESSAGE, id });
  await got.waitFor(() => got.items.length === 6);
  const ids = got.items.map(({ body }) => JSON.parse(body).id);
  assert.deepEqual(ids, ["p-1", "p-1", "p-1", "p-2", "p-2", "p-2"]);
  assert.deepEqual(told, []);
});

test("fifty may wait, and who was told is said", async () => {
  await using scope = new Scope();
  const { got, host } = await listening(scope, 200);
  const all = Promise.withResolvers<void>();
  let [count, dropped] = [0, 0];
  const onEnd = (_: AlertMessage, isTold: boolean) => {
    if (!isTold) dropped++;
    else if (++count === 50) all.resolve();
  };
  const outlet = new ChannelQueue(at("webhook", `http://${host}/`), { ...parts, clock, onEnd });
  scope.defer(() => outlet.close());
  for (let i = 0; i < 60; i++) outlet.push({ ...MESSAGE, id: `${i}` });
  assert.equal(dropped, 10);
  await all.promise;
  assert.equal(got.items.length, 50);
  assert.equal(JSON.parse(got.items.at(-1)!.body).id, "49");
});
