import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HttpClient } from "../../support/clients/http.ts";
import { isNotification, isResponseTo, textOf } from "../../support/clients/message.ts";
import { ModernClient } from "../../support/clients/modern.ts";
import { heard, startHttpFake } from "../../support/fakes/http-server.ts";
import { callText, listKeys } from "../helpers.ts";
import type { StartOptions, Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

const TOOLS_CHANGED = "notifications/tools/list_changed";
const LISTED = ["echo", "pid"];

/** A folder of this test's own. */
async function folder({ scope }: Tools): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "mcproxy-warm-"));
  scope.defer(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** What every start of one gateway has in common: its upstreams and what it keeps. */
async function household(tools: Tools) {
  const path = await folder(tools);
  const specFile = join(path, "local.json");
  const web = tools.scope.use(await startHttpFake({ name: "web", tools: LISTED, prompts: ["p"] }));
  const config = {
    mcpServers: {
      web: { url: web.url },
      local: stdioUpstream({ name: "local", tools: LISTED, specFile }),
    },
  };
  const start = (options: StartOptions = {}) =>
    tools.start(config, { env: { CACHE_DIRECTORY: path }, ...options });
  /** A run that keeps what the servers offer. */
  const learn = async (options?: StartOptions) => {
    const gateway = await start(options);
    await gateway.ready();
    const names = await listKeys(await HttpClient.connect(gateway.url), "tools");
    await gateway.stop();
    return names;
  };
  /** From now on no server answers before it is let. */
  const hold = async () => {
    const gate = Promise.withResolvers<void>();
    web.fault = () => ({ after: gate.promise });
    await writeFile(specFile, JSON.stringify({ faults: { hangOnStart: true } }));
    return () => gate.resolve();
  };
  const lists = join(path, "lists");
  return { web, start, learn, hold, lists };
}

/** What a gateway knows before its servers have said anything. */
export function warmStart({ verifies }: Suite): void {
  verifies("warm.lists", async (tools) => {
    const { web, start, learn, hold } = await household(tools);
    const names = await learn();
    assert.deepEqual(names, ["web_echo", "web_pid", "local_echo", "local_pid"]);
    const open = await hold();
    const gateway = await start();
    assert.deepEqual(await listKeys(await HttpClient.connect(gateway.url), "tools"), names);
    assert.deepEqual(await listKeys(new ModernClient(gateway.url), "tools"), names);
    for (const name of ["web", "local"]) {
      // A process may still wait for its turn to start.
      const { stale } = await gateway.waitForServer(name, ({ state }) => state === "connecting");
      assert.equal(stale, true);
    }

    // A client that knows its tools from before calls at once, and is answered when that is possible.
    const client = await HttpClient.connect(gateway.url);
    const stream = await client.listen();
    const call = await client.start("tools/call", { name: "web_echo", arguments: { a: 1 } }, 1);
    web.core.change("tools", "fresh", "pid");
    open();
    assert.equal(textOf(await call.messages.waitFor(isResponseTo(1))), '{"a":1}');
    await stream.messages.waitFor(isNotification(TOOLS_CHANGED));
    const mended = ["web_echo", "web_fresh", "local_echo", "local_pid"];
    assert.deepEqual(await listKeys(client, "tools"), mended);
    await gateway.waitForServer("web", ({ stale }) => !stale);
    assert.equal((await gateway.waitForServer("local", () => true)).stale, true);
    assert.deepEqual(stream.messages.items.map(({ json }) => json.method), [TOOLS_CHANGED]);
    stream.close();
  });

  verifies("warm.same", async (tools) => {
    const { web, start, learn, hold } = await household(tools);
    await learn({ inside: true });
    const open = await hold();
    const earlier = web.requests.items.length;
    const gateway = await start();
    // Whoever comes before there is anything to list is told when there is.
    assert.equal((await listKeys(await HttpClient.connect(gateway.url), "tools")).length, 4);
    const client = await HttpClient.connect(gateway.url);
    const stream = await client.listen();
    open();
    await gateway.waitForServer("web", ({ state, stale }) => state === "ready" && !stale);
    // The first news is the first announcement.
    await heard(web, earlier);
    web.core.change("prompts", "q", undefined);
    await stream.messages.waitFor(isNotification("notifications/prompts/list_changed"));
    assert.equal(stream.messages.items.length, 1);
    stream.close();
  });

  verifies("warm.damaged", async (tools) => {
    const { start, learn, lists } = await household(tools);
    const names = await learn({ inside: true });
    const files = await readdir(lists);
    assert.equal(files.length, 2);
    for (const file of files) await writeFile(join(lists, file), '{"version":1,"lists":');
    const gateway = await start();
    await gateway.ready();
    assert.deepEqual(await listKeys(await HttpClient.connect(gateway.url), "tools"), names);
    const warnings = gateway.logs.items.filter((line) =>
      line.includes("Cannot use the kept lists")
    );
    for (const file of files) {
      assert.equal(warnings.filter((line) => line.includes(join(lists, file))).length, 1, file);
    }
    assert.equal(warnings.length, 2);
    await gateway.stop();
    // And they are good again.
    const again = await start();
    await again.ready();
    assert.ok(!again.logs.items.some((line) => line.includes("kept lists")));
  });

  verifies("warm.off", async (tools) => {
    const path = await folder(tools);
    const gateway = await tools.start(
      { warmStart: false, mcpServers: { one: stdioUpstream({ tools: LISTED }) } } as never,
      { env: { CACHE_DIRECTORY: path } },
    );
    await gateway.ready();
    assert.match(await callText(await HttpClient.connect(gateway.url), "one_pid"), /^\d+$/);
    await gateway.stop();
    assert.deepEqual(await readdir(path), []);
  });
}
