import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { mock, test } from "node:test";
import { Reloader } from "../../src/app/reload.ts";
import { planServe } from "../../src/app/plan.ts";
import { liveServers, summaryText } from "../../src/cli/announce.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { eventually } from "../support/inbox.ts";
import { poolTarget } from "../upstream/pool-support.ts";
import { configFile } from "../cli/support.ts";

/** A gateway that follows a file, what it tells the service manager, and what its log hides. */
async function following(
  config: unknown,
  use: (parts: {
    readonly gateway: Gateway;
    readonly told: string[];
    readonly hidden: () => readonly string[];
    /** Writes the file and reads it again. */
    readonly becomes: (config: unknown) => Promise<boolean>;
    /** Lets no server start until what it returns is called. */
    readonly holdStarts: () => () => void;
  }) => Promise<void>,
): Promise<void> {
  const file = await configFile(config);
  const plan = () => planServe({ config: file.path }, { env: {}, cwd: file.directory });
  const started = await plan();
  let mayStart = Promise.resolve();
  const spawn: typeof runtime.spawn = (options) => mayStart.then(() => runtime.spawn(options));
  const gateway = new Gateway({ config: started.config, runtime: { ...runtime, spawn } });
  const told: string[] = [];
  let secrets: readonly string[] = [];
  const reloader = new Reloader({
    gateway,
    started,
    plan,
    summary: () => summaryText(liveServers(gateway)),
    notifier: {
      reloading: () => void told.push("reloading"),
      ready: () => void told.push("ready"),
      status: (text) => void told.push(text),
    },
    logging: {
      setSecrets: (all) => secrets = [...all],
      setLevel: () => {},
    },
  });
  try {
    gateway.start();
    await gateway.settled();
    await use({
      gateway,
      told,
      hidden: () => secrets,
      becomes: async (next) => {
        await writeFile(file.path, typeof next === "string" ? next : JSON.stringify(next));
        return (await reloader.reload({ final: true, asked: false })).used;
      },
      holdStarts: () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        mayStart = promise;
        return resolve;
      },
    });
  } finally {
    await gateway.close();
    await file.close();
  }
}

test("Reloader.reload() takes back what it told of a refused file", async () => {
  const config = { mcpServers: {} };
  await following(config, async ({ told, becomes }) => {
    assert.equal(await becomes("{"), false);
    assert.deepEqual(told.splice(0, 2), ["reloading", "ready"]);
    assert.match(told.splice(0).join(), /^configuration not reloaded: /);
    assert.equal(await becomes(config), true);
    assert.deepEqual(told.splice(0), ["reloading", "ready", "0 of 0 servers ready, 0 tools"]);
    assert.equal(await becomes(config), true);
    assert.deepEqual(told, []);
  });
});

test("Reloader.reload() keeps out of the log what is still there of earlier configurations", async () => {
  const { kind: _, ...server } = poolTarget();
  const of = (token: string, pageSize = 0) => ({
    pageSize,
    mcpServers: { a: { ...server, env: { TOKEN: token } } },
  });
  await following(of("token-of-first"), async ({ gateway, hidden, becomes, holdStarts }) => {
    // The first one goes on serving until the second one is there.
    const start = holdStarts();
    await becomes(of("token-of-second"));
    await becomes(of("token-of-second", 10));
    await becomes(of("token-of-second", 20));
    assert.deepEqual(hidden().toSorted(), ["token-of-first", "token-of-second"]);
    start();
    await eventually(() => gateway.members.isSteady, (steady) => steady, "the end of the first");
    await becomes(of("token-of-second", 30));
    assert.deepEqual(hidden(), ["token-of-second"]);
  });
});

test("Reloader.reload() leaves in force what was only read again", async () => {
  const config = { mcpServers: {} };
  await following(config, async ({ gateway, becomes }) => {
    // The file as it was at the start is read once more when it begins to be watched.
    const { loadedAt } = gateway.configState.status();
    const accept = mock.method(gateway.configState, "accept");
    assert.equal(await becomes(config), true);
    assert.equal(accept.mock.callCount(), 0);
    assert.equal(gateway.configState.status().loadedAt, loadedAt);
    assert.equal(await becomes({ ...config, pageSize: 5 }), true);
    assert.equal(accept.mock.callCount(), 1);
  });
});
