import assert from "node:assert/strict";
import { test } from "node:test";
import { runtime } from "#runtime";
import { type Clock, systemClock } from "../../src/lib/time.ts";
import { ErrorCode, RpcError } from "../../src/protocol/errors.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import { eventually } from "../support/inbox.ts";
import {
  alive,
  call,
  callText,
  exchangeFor,
  FAKE,
  fakeTarget,
  LEGACY_CLIENT,
  MODERN_CLIENT,
  RecordedLog,
  serverConfig,
  textOf,
  Watch,
  withUpstream,
} from "./support.ts";
import { BUN } from "../support/program.ts";

function names(error: unknown, code: number, ...parts: string[]): true {
  assert.ok(error instanceof RpcError, String(error));
  assert.equal(error.code, code, error.message);
  for (const part of parts) assert.ok(error.message.includes(part), error.message);
  return true;
}

test("Upstream connects, lists and forwards a call with the client's own id text", async () => {
  await withUpstream(serverConfig(fakeTarget()), async (upstream) => {
    assert.equal(upstream.state.phase, "ready");
    assert.deepEqual(upstream.inventory.lists.tools.items.map(({ key }) => key), ["echo"]);
    assert.equal(upstream.inventory.serverInfo, '{"name":"fake","version":"1","extra":1}');
    assert.equal(upstream.inventory.instructions, "Use with care");
    const response = await upstream.forward(
      exchangeFor(
        '{"jsonrpc":"2.0","id":12345678901234567890,"method":"tools/call","params":{"name":"a_echo","arguments":{"n":12345678901234567890}}}',
      ),
      [{ path: ["params", "name"], value: '"echo"' }],
    );
    assert.match(response.raw, /"id":12345678901234567890/);
    const status = upstream.status();
    assert.deepEqual(
      [status.state, status.transport, status.era, status.protocolVersion, status.counts.tools],
      ["ready", "stdio", "legacy", "2025-11-25", 1],
    );
    assert.ok(alive(status.pid!));
  });
});

test("Upstream.forward() keeps numbers and nested ids character for character", async () => {
  await withUpstream(serverConfig(fakeTarget()), async (upstream) => {
    const { raw } = await upstream.forward(call("big-number", {}, { id: "q" }), []);
    assert.equal(
      raw,
      '{"result":{"content":[],"n":12345678901234567890,"e":1e400,"u":{"id":5}},"jsonrpc":"2.0","id":"q"}',
    );
  });
});

test("Upstream.forward() passes progress in the client's own token before the answer", async () => {
  await withUpstream(serverConfig(fakeTarget()), async (upstream) => {
    for (const token of ['"tok"', "7", "12345678901234567890"]) {
      const exchange = exchangeFor(
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"progress","_meta":{"progressToken":${token}}}}`,
      );
      const answered = upstream.forward(exchange, []).then(() => exchange.sent.length);
      assert.equal(await answered, 1);
      assert.ok(exchange.sent[0]!.includes(`"progressToken":${token}`));
      assert.ok(exchange.sent[0]!.includes('"note":"kept"'));
    }
  });
});

test("Upstream.forward() gives one client's progress to no other", async () => {
  await withUpstream(serverConfig(fakeTarget()), async (upstream) => {
    const other = call("hold", {}, { token: "t" });
    const held = upstream.forward(other, []);
    // Tokens nobody has, and the token of a call that gave none (tools/list, id 2).
    for (const foreign of [999, "t", 2, null]) {
      const mine = call("progress", { foreign }, { token: "t" });
      await upstream.forward(mine, []);
      assert.equal(mine.sent.length, 1);
    }
    const without = call("progress", {});
    await upstream.forward(without, []);
    assert.deepEqual(without.sent, []);
    assert.deepEqual(other.sent, []);
    await upstream.forward(call("release"), []);
    await held;
  });
});

test("Upstream.forward() survives answers given twice, late, and under an old id", async () => {
  await withUpstream(serverConfig(fakeTarget()), async (upstream, log) => {
    assert.equal(textOf((await upstream.forward(call("twice"), [])).raw), "first");
    assert.equal(textOf((await upstream.forward(call("old-id"), [])).raw), "mine");
    const held = call("hold");
    const cancelled = upstream.forward(held, []);
    held.abort();
    await assert.rejects(cancelled, RpcError);
    assert.equal(textOf((await upstream.forward(call("release"), [])).raw), "released");
    assert.equal(textOf((await upstream.forward(call("echo", { a: 1 }), [])).raw), '{"a":1}');
    assert.ok(log.has("Dropped an answer nobody waits for"));
  });
});

test("Upstream.forward() cancels upstream under the gateway's id", async () => {
  await withUpstream(serverConfig(fakeTarget()), async (upstream) => {
    const exchange = call("request-never", {}, { id: "mine" });
    const never = upstream.forward(exchange, [{ path: ["params", "name"], value: '"never"' }]);
    exchange.abort("user pressed stop");
    await assert.rejects(never, RpcError);
    const seen = JSON.parse(textOf((await upstream.forward(call("cancelled"), [])).raw));
    assert.equal(seen.length, 1);
    assert.equal(typeof seen[0], "number");
  });
});

test("Upstream.forward() times out naming server, method and limit, and cancels", async () => {
  await withUpstream(serverConfig(fakeTarget(), { timeout: 150 }), async (upstream) => {
    await assert.rejects(
      upstream.forward(call("never"), []),
      (error) =>
        names(
          error,
          ErrorCode.UpstreamTimeout,
          'Server "x" did not answer "tools/call" within 150ms',
        ),
    );
    const seen = JSON.parse(textOf((await upstream.forward(call("cancelled"), [])).raw));
    assert.equal(seen.length, 1);
  });
});

test("Upstream.forward() lets progress renew the time limit", async () => {
  await withUpstream(serverConfig(fakeTarget(), { timeout: 400 }), async (upstream) => {
    const exchange = call("slow-progress", { steps: 8, every: 100 }, { token: "t" });
    const { raw } = await upstream.forward(exchange, []);
    assert.equal(textOf(raw), "done");
    assert.equal(exchange.sent.length, 8);
  });
});

test("Upstream.forward() fails the call that got garbage, and only that one", async () => {
  await withUpstream(serverConfig(fakeTarget()), async (upstream) => {
    const good = call("hold");
    const held = upstream.forward(good, []);
    await assert.rejects(
      upstream.forward(call("garbage"), []),
      (error) => names(error, ErrorCode.UpstreamProtocol, 'Server "x"', "tools/call", "result"),
    );
    await upstream.forward(call("release"), []);
    assert.equal(textOf((await held).raw), "late");
  });
});

test("Upstream.forward() passes 5 MB and text split inside characters", async () => {
  await withUpstream(serverConfig(fakeTarget()), async (upstream) => {
    const { raw } = await upstream.forward(call("huge", { size: 5_000_000 }), []);
    assert.equal(textOf(raw).length, 5_000_000);
    const split = await upstream.forward(call("split"), []);
    assert.equal(JSON.parse(split.raw).result.text, "Grüße 🧀");
  });
});

test("Upstream fails calls at an exit, says why, and comes back by itself", async () => {
  const watch = new Watch();
  await withUpstream(serverConfig(fakeTarget()), async (upstream) => {
    const other = upstream.forward(call("never"), []);
    const crash = upstream.forward(call("exit"), []);
    for (const lost of [other, crash]) {
      await assert.rejects(
        lost,
        (error) =>
          names(
            error,
            ErrorCode.UpstreamUnavailable,
            'Server "x" exited with code 7: fatal: out of cheese',
          ),
      );
    }
    assert.equal(upstream.state.phase, "backoff");
    assert.equal(upstream.inventory.lists.tools.items.length, 1);
    assert.equal(textOf((await upstream.forward(call("echo", [2]), [])).raw), "[2]");
    assert.equal(upstream.status().restarts, 1);
  }, watch);
});

test("Upstream skips junk on stdout and logs it", async () => {
  await withUpstream(serverConfig(fakeTarget("junk")), async (upstream, log) => {
    assert.equal(upstream.state.phase, "ready");
    assert.equal(textOf((await upstream.forward(call("echo", 1), [])).raw), "1");
    assert.ok(log.lines.some(({ props }) => props?.text === "Listening on stdio..."));
  });
});

test("Upstream logs stderr with the server's name at a bounded rate", async () => {
  await withUpstream(serverConfig(fakeTarget("noisy")), async (_upstream, log) => {
    await log.until("Ready");
    const lines = log.lines.filter(({ message }) => message.startsWith("stderr: line"));
    assert.ok(lines.length >= 50 && lines.length < 300, `${lines.length} lines`);
    assert.equal(lines[0]!.props?.server, "x");
  });
});

test("Upstream reports a server that cannot be started or dies at once", async () => {
  const missing = { kind: "stdio", command: "no-such-cmd-4711", args: [], env: {} } as const;
  await withUpstream(serverConfig(missing), async (upstream) => {
    assert.notEqual(upstream.state.phase, "ready");
    assert.match(upstream.status().lastError!, /^Server "x" cannot be started: .*no-such-cmd-4711/);
    await assert.rejects(
      upstream.forward(call("echo"), []),
      (error) => names(error, ErrorCode.UpstreamUnavailable, "no-such-cmd-4711"),
    );
  });
  await withUpstream(serverConfig(fakeTarget("crash")), (upstream) => {
    assert.equal(
      upstream.status().lastError,
      'Server "x" exited with code 3: bad flag --frobnicate',
    );
    return Promise.resolve();
  });
  // So fast that it reads nothing of what it is sent.
  const script = "echo no key >&2; exit 3";
  const fast = { kind: "stdio", command: "sh", args: ["-c", script], env: {} } as const;
  for (let turn = 0; turn < 5; turn++) {
    await withUpstream(serverConfig(fast), (upstream) => {
      const { lastError, reason } = upstream.status();
      assert.deepEqual([lastError, reason], ['Server "x" exited with code 3: no key', "exited"]);
      return Promise.resolve();
    });
  }
});

test("Upstream gives a hanging start its deadline and no more", async () => {
  const config = serverConfig(fakeTarget("hang"), { startupTimeout: 600 });
  await withUpstream(config, (upstream) => {
    assert.equal(
      upstream.status().lastError,
      'Server "x" was not ready within 0.6 s; see "startupTimeout"',
    );
    return Promise.resolve();
  });
});

test("Upstream starts a server that exits on the probe again, as legacy", async () => {
  await withUpstream(serverConfig(fakeTarget("exit-on-probe")), async (upstream, log) => {
    assert.equal(upstream.status().era, "legacy");
    assert.ok(log.has("started again as legacy"));
    // The verdict is remembered: the next start probes nothing.
    await assert.rejects(upstream.forward(call("exit"), []), RpcError);
    await upstream.forward(call("echo"), []);
    assert.equal(log.lines.filter(({ message }) => message.includes("as legacy")).length, 1);
  });
});

test("Upstream takes a silent probe for legacy", async () => {
  const config = serverConfig(fakeTarget("silent-probe"), { startupTimeout: 3_000 });
  await withUpstream(config, (upstream) => {
    assert.equal(upstream.status().era, "legacy");
    return Promise.resolve();
  });
});

test("Upstream speaks to a modern server with the envelope, and with the client's own", async () => {
  await withUpstream(serverConfig(fakeTarget("modern")), async (upstream) => {
    assert.deepEqual(
      [upstream.status().era, upstream.status().protocolVersion],
      ["modern", "2026-07-28"],
    );
    assert.equal(upstream.inventory.serverInfo, '{"name":"fake","version":"2"}');
    const legacy = await upstream.forward(exchangeFor(callText("request"), LEGACY_CLIENT), []);
    const meta = JSON.parse(textOf(legacy.raw))._meta;
    assert.equal(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert.deepEqual(meta["io.modelcontextprotocol/clientInfo"], { name: "test", version: "1" });
    const own = JSON.parse(callText("request"));
    own.params._meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28", other: 1 };
    const modern = await upstream.forward(exchangeFor(JSON.stringify(own), MODERN_CLIENT), []);
    assert.deepEqual(JSON.parse(textOf(modern.raw))._meta, own.params._meta);
  });
});

test("Upstream takes the envelope off for a legacy server and completes the result", async () => {
  await withUpstream(serverConfig(fakeTarget("old")), async (upstream) => {
    assert.equal(upstream.status().protocolVersion, "2024-11-05");
    const message = JSON.parse(callText("request"));
    message.params._meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28", other: 1 };
    const { raw } = await upstream.forward(
      exchangeFor(JSON.stringify(message), MODERN_CLIENT),
      [],
    );
    assert.deepEqual(JSON.parse(textOf(raw))._meta, { other: 1 });
    assert.equal(JSON.parse(raw).result.resultType, "complete");
  });
});

test("Upstream obeys a pinned protocol and refuses an unknown version", async () => {
  await withUpstream(serverConfig(fakeTarget("dual"), { protocol: "legacy" }), (upstream) => {
    assert.equal(upstream.status().era, "legacy");
    return Promise.resolve();
  });
  await withUpstream(serverConfig(fakeTarget("plain"), { protocol: "modern" }), (upstream) => {
    assert.match(upstream.status().lastError!, /^Server "x" refused "server\/discover"/);
    return Promise.resolve();
  });
  await withUpstream(serverConfig(fakeTarget("future")), (upstream) => {
    assert.match(upstream.status().lastError!, /chose protocol version "2099-01-01"; expected/);
    return Promise.resolve();
  });
});

test("Upstream answers ping, and roots for a client that has none; refuses what nobody can", async () => {
  await withUpstream(serverConfig(fakeTarget()), async (upstream) => {
    const ping = await upstream.forward(call("ask", { method: "ping" }), []);
    assert.equal(textOf(ping.raw), "{}");
    const roots = await upstream.forward(call("ask", { method: "roots/list" }), []);
    assert.equal(textOf(roots.raw), '{"roots":[]}');
    const other = await upstream.forward(call("ask", { method: "roots/make" }), []);
    assert.equal(JSON.parse(textOf(other.raw)).code, ErrorCode.MethodNotFound);
  });
});

test("Upstream reads a storm of list changes once, and nothing when nothing changed", async () => {
  const watch = new Watch();
  let reads = 0;
  const events = {
    ...watch,
    onInventory: () => {
      reads++;
      watch.onInventory();
    },
  };
  await withUpstream(serverConfig(fakeTarget()), async (upstream) => {
    await upstream.forward(call("add-tools"), []);
    await watch.until(() => upstream.inventory.lists.tools.items.length === 51);
    assert.ok(reads <= 3, `${reads} reads`);
  }, events);
});

test("Upstream does not miss a change announced while it starts", async () => {
  const watch = new Watch();
  await withUpstream(serverConfig(fakeTarget("early-change")), async (upstream) => {
    await watch.until(() => upstream.inventory.lists.tools.items.length === 2);
  }, watch);
});

test("Upstream follows pages, empty cursor included, and combines their hints", async () => {
  await withUpstream(serverConfig(fakeTarget("pages")), (upstream) => {
    const { tools } = upstream.inventory.lists;
    assert.deepEqual(tools.items.map(({ key }) => key), ["p0", "p1", "p2"]);
    assert.deepEqual([tools.ttlMs, tools.cacheScope], [100, "private"]);
    assert.match(upstream.status().problems[0]!, /Skipped 2 of the tools/);
    return Promise.resolve();
  });
  await withUpstream(serverConfig(fakeTarget("loop")), (upstream) => {
    assert.match(upstream.status().problems[0]!, /cut at 2 items: a cursor came twice/);
    return Promise.resolve();
  });
});

test("Upstream keeps the previous list when reading it fails", async () => {
  await withUpstream(serverConfig(fakeTarget("list-error")), async (upstream, log) => {
    await upstream.forward(call("add-tools"), []);
    await log.until("database is locked");
    assert.equal(upstream.inventory.lists.tools.items.length, 1);
    assert.equal(upstream.state.phase, "ready");
  });
});

test("Upstream gives a child the safe variables and its own, nothing else", async () => {
  const target = { ...fakeTarget(), env: { MINE: "1" } } as const;
  await withUpstream(serverConfig(target), async (upstream) => {
    const env = JSON.parse(textOf((await upstream.forward(call("env"), [])).raw));
    assert.equal(env.MINE, "1");
    assert.ok(env.PATH);
    for (const name of Object.keys(env)) {
      assert.match(
        name,
        /^(HOME|LANG|LANGUAGE|LC_.*|LOGNAME|PATH|SHELL|TERM|TMPDIR|TZ|USER|XDG_.*|MINE|_)$/,
      );
    }
  });
});

test("Upstream.close() waits no 3 s for a server that ignores stdin and SIGTERM", async () => {
  // What it waits for, and not how long that takes: others use the machine, too.
  let waited = 0;
  const after: Clock["after"] = (ms, callback) =>
    systemClock.after(ms, () => {
      waited += ms;
      callback();
    });
  const config = serverConfig(fakeTarget("ignore-stop"));
  const clock = { ...systemClock, after };
  const upstream = new Upstream({ config, runtime, log: new RecordedLog(), events: {}, clock });
  upstream.start();
  await upstream.settled;
  const { pid } = upstream.status();
  assert.equal(upstream.state.phase, "ready");
  waited = 0;
  await upstream.close();
  assert.ok(waited >= 1_000 && waited < 3_000, `${waited} ms`);
  await eventually(() => alive(pid!), (isAlive) => !isAlive, "the end of the process");
});

test("Upstream with a problem or disabled is closed and says so", async () => {
  const problem = { file: "f.json", line: 3, column: 7, path: "a", message: "unset variable" };
  await withUpstream(serverConfig(fakeTarget(), { problem }), async (upstream) => {
    assert.equal(upstream.status().state, "closed");
    await assert.rejects(
      upstream.forward(call("echo"), []),
      (error) => names(error, ErrorCode.UpstreamUnavailable, 'Server "x"', "unset variable"),
    );
  });
});

test("Upstream.close() leaves nothing of the process group behind", async () => {
  const script = 'sleep 4711 & echo "helper $!" >&2; exec "$1" "$0"';
  const target = {
    kind: "stdio",
    command: "sh",
    args: ["-c", script, FAKE, BUN],
    env: {},
  } as const;
  let helper = 0;
  await withUpstream(serverConfig(target), async (upstream, log) => {
    assert.equal(upstream.state.phase, "ready");
    await log.until("helper");
    const line = log.lines.find(({ message }) => message.includes("helper"))!;
    helper = Number(/helper (\d+)/.exec(line.message)![1]);
    assert.ok(alive(helper));
  });
  // Ended by a signal; a moment may pass until its new parent has reaped it.
  while (alive(helper)) await new Promise((resolve) => setImmediate(resolve));
});
