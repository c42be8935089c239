/** The commands that look at calls, before a gateway as it is. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { main } from "../../src/cli/main.ts";
import { cacheEnv } from "../support/cache.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { configFile, run, TestIo } from "./support.ts";

const SECRET = "canary-of-the-commands";

let running: RunningServer;
let file: Awaited<ReturnType<typeof configFile>>;
let directory: string;
let env: Record<string, string | undefined>;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "mcproxy-observe-"));
  env = { ...process.env, ...cacheEnv(), STATE_DIRECTORY: directory, XDG_CONFIG_HOME: "/nowhere" };
  const a = { ...fakeCommand({ tools: ["echo", "fail"] }), env: { TOKEN: SECRET } };
  file = await configFile({ mcpServers: { a } });
  running = await startServer({ config: file.path, port: 0, env });
  await running.server.gateway.settled();
  await running.server.localKey?.written;
});

after(async () => {
  await running.close();
  await file.close();
  await rm(directory, { recursive: true, force: true });
});

const ask = (...args: string[]) => run([args[0]!, "--url", running.url, ...args.slice(1)], { env });

async function text(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await ask(...args);
  assert.equal(code, 0, stderr);
  return stdout;
}

const call = (tool: string, args: object) => ask("call", tool, JSON.stringify(args));

/** The calls of a tool, the latest first. */
async function calls(tool: string) {
  const lines = (await text("calls", "--json", `name:${tool}`)).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line)).reverse();
}

test("a call is found by a filter, and shown by its id", async () => {
  await call("a_echo", { text: "hello" });
  assert.equal((await ask("call", "a_none")).code, 1);
  assert.match(await text("calls", "server:a", "outcome:ok"), /ok .* a .* a_echo\n/);
  assert.match(await text("calls", "--since", "1h", "--", "-outcome:ok"), /a_none\n/);
  const [echo] = await calls("a_echo");
  assert.match(
    await text("calls", echo.id),
    /^tools\/call a_echo\n.*Outcome {2}ok\n.*Server {3}a as echo\n/s,
  );
  const wrong = await ask("calls", "sever:a");
  assert.match(wrong.stderr, /Unknown key "sever" in the filter \(did you mean "server"\?\)/);
});

test("tail tells of a call as it ends", async () => {
  const io = new TestIo({ env });
  const ended = main(["tail", "--url", running.url, "name:a_echo"], io);
  let isTold = false;
  const told = io.out.waitFor((line) => line.includes("a_echo")).then(() => isTold = true);
  while (!isTold) {
    await call("a_echo", { text: "followed" });
    await new Promise((resolve) => setTimeout(resolve));
  }
  await told;
  io.signal("SIGTERM");
  assert.equal(await ended, 143);
});

test("what calls say is kept on request, without secrets, and can be sent again", async () => {
  await call("a_echo", { text: "before" });
  const [unkept] = await calls("a_echo");
  assert.match((await ask("replay", unkept.id)).stderr, /its arguments were not kept/);
  assert.match(await text("record", "--for", "1m"), /^What all calls say is kept until 2/);
  await call("a_echo", { text: `with ${SECRET}`, password: "p" });
  const [masked] = await calls("a_echo");
  const shown = await text("calls", masked.id);
  assert.match(shown, /Request {2}\(secrets masked\)/);
  assert.match(shown, /"text": "with \[redacted\]"/);
  assert.match(shown, /"password": "\[redacted\]"/);
  assert.ok(!shown.includes(SECRET));
  assert.match((await ask("replay", masked.id, "--yes")).stderr, /a secret was masked/);
  await call("a_echo", { text: "plain" });
  const [plain] = await calls("a_echo");
  assert.match((await ask("replay", plain.id)).stderr, /Add --yes/);
  assert.match(await text("replay", plain.id, "--yes"), /plain/);
  const [again] = await calls("a_echo");
  assert.notEqual(again.id, plain.id);
  assert.match(again.client, /^mcproxy-cli /);
  await text("record", "--for", "0s");
});

test("usage, problems and alerts answer", async () => {
  await call("a_echo", { text: "used" });
  assert.match(await text("usage"), /a_echo\n/);
  assert.match(await text("usage", "--by", "server", "--range", "1h"), / a\n/);
  assert.match(await text("problems"), /problems|ID/i);
  assert.match(await text("alerts"), /Nothing is wrong/);
});

test("ui gives an address whose key lets in", async () => {
  const address = new URL((await text("ui", "--no-browser")).trim());
  assert.equal(address.origin, new URL(running.url).origin);
  const key = /^#key=(mcproxy_[\w-]{43})$/.exec(address.hash)?.[1];
  const post = (headers: Record<string, string>) =>
    fetch(new URL("/api/ui-key", address), { method: "POST", headers });
  const [without, withKey] = [await post({}), await post({ authorization: `Bearer ${key}` })];
  assert.deepEqual([without.status, withKey.status], [401, 200]);
  await Promise.all([without, withKey].map((response) => response.body?.cancel()));
});
