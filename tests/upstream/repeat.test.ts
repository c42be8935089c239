import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { runtime } from "#runtime";
import { ErrorCode, RpcError } from "../../src/protocol/errors.ts";
import { parseMessage, type ResponseMessage } from "../../src/protocol/message.ts";
import { Calls, type FailedCall, judgeFailure } from "../../src/upstream/calls.ts";
import { Chooser, Slot } from "../../src/upstream/choose.ts";
import type { Line } from "../../src/upstream/connection/line.ts";
import type { Instance } from "../../src/upstream/instance.ts";
import {
  HttpStatusError,
  type LossFacts,
  LostCallError,
  NOT_SENT,
  SENT,
  unavailable,
} from "../../src/upstream/transport/failures.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import { FakeClock } from "./fakes/clock.ts";
import { json, legacy, result, serveHttp, sse } from "./fakes/http-server.ts";
import { ANNA, pooled, poolTarget, say, states, withPool } from "./pool-support.ts";
import {
  alive,
  callText,
  exchangeFor,
  httpTarget,
  MODERN_CLIENT,
  RecordedLog,
  serverConfig,
  type TestExchange,
  textOf,
  withUpstream,
} from "./support.ts";
import { withHttp } from "./with-http.ts";

const TWO = [poolTarget(), poolTarget()];
const UNREPEATED = "the call was not repeated, because it may have been carried out: send it again";

const lost = (facts: Partial<LossFacts> = {}) =>
  new LostCallError("x", "went", { sent: true, asked: false, progress: undefined, ...facts });

function judged(call: Partial<FailedCall>): string {
  const verdict = judgeFailure({
    error: lost(),
    isWanted: true,
    isSafe: () => false,
    isContinued: false,
    wasRepeated: false,
    attempts: 1,
    instances: 2,
    isElsewhere: true,
    ...call,
  });
  if (verdict.kind === "repeat") return verdict.again ? "repeat, once" : "repeat";
  return (verdict.error as Error).message;
}

test("judgeFailure() repeats what does no harm once, and what never arrived while it is worth it", () => {
  const safe = { isSafe: () => true };
  const unsent = lost({ sent: false });
  const away = new HttpStatusError("x", 503, "y");
  const asked = 'Server "x" went; the call was not repeated, because its client has been asked ' +
    "something on its behalf: send it again";
  const cases: readonly (readonly [Partial<FailedCall>, string])[] = [
    [safe, "repeat, once"],
    [{}, `Server "x" went; ${UNREPEATED}`],
    [{ ...safe, wasRepeated: true }, 'Server "x" went'],
    [{ wasRepeated: true }, `Server "x" went; ${UNREPEATED}`],
    [{ ...safe, isWanted: false }, 'Server "x" went'],
    [{ ...safe, error: lost({ asked: true }) }, asked],
    [{ ...safe, isContinued: true }, asked],
    [{ error: unsent }, "repeat"],
    [{ error: unsent, attempts: 2 }, "repeat"],
    [{ error: unsent, attempts: 3 }, 'Server "x" went'],
    [{ error: unsent, attempts: 1, instances: 1, isElsewhere: false }, "repeat"],
    [{ error: unsent, isWanted: false }, 'Server "x" went'],
    [{ error: unsent, isContinued: true }, asked],
    [{ ...safe, error: away }, "repeat, once"],
    [{ error: away }, away.message],
    [{ ...safe, error: away, isElsewhere: false }, away.message],
    [{ ...safe, error: away, wasRepeated: true }, away.message],
    [{ ...safe, error: new HttpStatusError("x", 500, "y") }, 'Server "x" answered y with HTTP 500'],
    [{ ...safe, error: unavailable("x", "is no longer asked") }, 'Server "x" is no longer asked'],
    [{ ...safe, error: new RpcError(ErrorCode.UpstreamTimeout, "late") }, "late"],
    [{ ...safe, error: new TypeError("bug") }, "bug"],
  ];
  for (const [call, expected] of cases) assert.equal(judged(call), expected);
});

/** Calls that are on their way, each with how it ends. */
function startMany(upstream: Upstream, name: string, count: number, ms: number) {
  return Array.from({ length: count }, () => {
    const call = upstream.forward(exchangeFor(callText(name, { ms }), ANNA), []);
    return call.then(({ raw }) => textOf(raw), (error: RpcError) => error);
  });
}

test("Upstream hides the loss of an instance from safe calls, under load", async () => {
  await withPool(pooled(TWO), async (upstream, pids, log) => {
    const calls = startMany(upstream, "read", 100, 20);
    await say(upstream, "seen");
    process.kill(pids[0]!, "SIGKILL");
    calls.push(...startMany(upstream, "read", 100, 1));
    await log.until("Lost:");
    calls.push(...startMany(upstream, "read", 100, 1));
    const outcomes = await Promise.all(calls);
    assert.deepEqual(outcomes.filter((outcome) => typeof outcome !== "string"), []);
    assert.ok(outcomes.includes(String(pids[1])));
    assert.equal(upstream.status().failedCalls, 0);
    await log.when(() => states(upstream).every((state) => state === "ready"));
  });
});

test("Upstream fails unsafe calls that were in flight on the lost instance, and only those", async () => {
  await withPool(pooled(TWO), async (upstream, pids, log) => {
    const calls = startMany(upstream, "write", 20, 100);
    await say(upstream, "seen");
    process.kill(pids[0]!, "SIGKILL");
    await log.until("Lost:");
    calls.push(...startMany(upstream, "write", 20, 1));
    const outcomes = await Promise.all(calls);
    const errors = outcomes.filter((outcome) => outcome instanceof RpcError);
    assert.equal(errors.length, 10);
    for (const { code, message } of errors) {
      assert.equal(code, ErrorCode.UpstreamUnavailable);
      assert.equal(message, `Server "x" was ended by SIGKILL; ${UNREPEATED}`);
    }
    assert.equal(upstream.status().failedCalls, 10);
  });
});

/** A call that has arrived, which its progress tells. */
async function arrived(upstream: Upstream, name: string, args: unknown = {}) {
  const told = Promise.withResolvers<void>();
  const exchange = exchangeFor(callText(name, args, { token: "t" }), ANNA);
  const { notify } = exchange;
  const call = upstream.forward(
    Object.assign(exchange, {
      notify: (raw: string) => {
        notify(raw);
        told.resolve();
      },
    }),
    [],
  );
  call.catch(() => {});
  await told.promise;
  return { exchange, call };
}

const progressOf = ({ sent }: TestExchange) =>
  sent.map((raw) => JSON.parse(raw).params.progress as number);

test("Upstream repeats on the same server after its reconnect, with progress that only rises", async () => {
  await withUpstream(serverConfig(poolTarget()), async (upstream) => {
    const holder = upstream.status().pid!;
    const { exchange, call } = await arrived(upstream, "hold-read", {
      holder,
      progress: [3, 5, 6],
    });
    await say(upstream, "read");
    process.kill(holder, "SIGKILL");
    const { raw } = await call;
    assert.equal(textOf(raw), String(upstream.status().pid));
    assert.notEqual(upstream.status().pid, holder);
    // What the second process says again is not told again.
    assert.deepEqual(progressOf(exchange), [3, 5, 6]);
    assert.equal(upstream.status().restarts, 1);
    assert.equal(upstream.status().failedCalls, 0);
  });
});

test("Upstream repeats a safe call that came when its process had ended unnoticed", async () => {
  await withUpstream(serverConfig(poolTarget()), async (upstream, log) => {
    const left = Number(await say(upstream, "leave"));
    while (alive(left)) await new Promise((next) => setImmediate(next));
    const [read, write] = [say(upstream, "read"), say(upstream, "write")];
    await assert.rejects(write, {
      message: `Server "x" exited with code 1; ${UNREPEATED}`,
    });
    assert.equal(await read, upstream.status().pid);
    assert.ok(log.has('Lost: Server "x" exited with code 1'));
  });
});

test("Upstream takes a server that reads no more for lost, though it lives", async () => {
  const pids: number[] = [];
  let isDeaf = false;
  const upstream = new Upstream({
    config: serverConfig(poolTarget()),
    log: new RecordedLog(),
    runtime: {
      spawn: async (options) => {
        const child = await runtime.spawn(options);
        const { pid } = child;
        return {
          pid,
          // As where it has closed its stdin, which not every runtime notices.
          write: (text) =>
            isDeaf && pid === pids[0] ? Promise.reject(new Error("broken")) : child.write(text),
          endInput: () => child.endInput(),
          kill: (signal) => child.kill(signal),
        };
      },
    },
  });
  try {
    upstream.start();
    await upstream.settled;
    pids.push(upstream.status().pid!);
    isDeaf = true;
    assert.notEqual(await say(upstream, "read"), pids[0]);
    assert.equal(upstream.status().lastError, 'Server "x" does not read its input: broken');
    assert.equal(alive(pids[0]!), false);
  } finally {
    await upstream.close();
  }
});

test("UsedLine tells no progress again that went before two losses", async () => {
  const safe = { jsonrpc: "2.0", id: 1, method: "prompts/get", params: { name: "x" } };
  const exchange = exchangeFor(JSON.stringify(safe), ANNA);
  const lines = [
    [5, new LostCallError("x", "went", { ...SENT, progress: 5 })],
    [4, new LostCallError("x", "was not there", NOT_SENT)],
    [3, undefined],
  ] as const;
  let at = 0;
  const line = (): Line => {
    const [progress, error] = lines[at++]!;
    return {
      era: "legacy",
      forward: ({ notify }) => {
        const params = { progressToken: 1, progress };
        notify(JSON.stringify({ method: "notifications/progress", params }));
        const response = '{"jsonrpc":"2.0","id":1,"result":{}}';
        return error === undefined
          ? Promise.resolve(parseMessage(response) as ResponseMessage)
          : Promise.reject(error);
      },
      release: () => {},
    };
  };
  const instance = {
    state: { phase: "ready" },
    health: { health: "ok" },
    lines: { exclusiveFor: () => false },
    lineFor: () => line(),
  } as unknown as Instance;
  const clock = new FakeClock();
  const slots = [1, 2, 3].map((number) => new Slot(`instance ${number}`, instance, clock));
  const calls = new Calls(serverConfig(TWO[0]!), new Chooser("x", slots, clock), clock);
  const used = await calls.lineFor(exchange);
  await used.forward(exchange, []);
  assert.deepEqual(progressOf(exchange), [5]);
});

test("Upstream does not repeat a call whose client has been asked something, or that was cancelled", async () => {
  await withPool(pooled(TWO), async (upstream, _pids, log) => {
    const asking = exchangeFor(callText("ask-read"), ANNA);
    const call = upstream.forward(asking, []);
    const question = await asking.nextAsked();
    question.answer({ action: "accept" });
    const busy = upstream.status().instances!.find(({ inFlight }) => inFlight > 0)!;
    process.kill(busy.pid!, "SIGKILL");
    await assert.rejects(call, {
      message: /was ended by SIGKILL; the call was not repeated, because its client has been asked/,
    });
    await log.until("Lost:");

    const { exchange, call: cancelled } = await arrived(upstream, "hold-read");
    exchange.abort();
    await assert.rejects(cancelled, /was cancelled/);
    assert.equal(upstream.status().inFlight, 0);
  });
});

test("Upstream does not repeat while it closes", async () => {
  await withPool(pooled(TWO), async (upstream) => {
    const { exchange, call } = await arrived(upstream, "hold-read");
    await upstream.close();
    await assert.rejects(call, { code: ErrorCode.UpstreamUnavailable });
    assert.deepEqual(progressOf(exchange), [1]);
    await upstream.whenIdle();
  });
});

test("Upstream gives the original error where only the other era is left", async () => {
  await withPool(pooled([poolTarget("legacy"), poolTarget("modern")]), async (upstream) => {
    const { call } = await arrived(upstream, "hold-read");
    const busy = upstream.status().instances!.find(({ inFlight }) => inFlight > 0)!;
    assert.equal(busy.name, "instance 1");
    process.kill(busy.pid!, "SIGKILL");
    await assert.rejects(call, { message: 'Server "x" was ended by SIGKILL' });
  });
});

test("Upstream sends what a dead address never got to the next one, unsafe or not", async () => {
  const live = [await serveHttp(legacy(() => false)), await serveHttp(legacy(() => false))];
  const [gone, stays] = live;
  try {
    const targets = live.map(({ url }) => httpTarget(`${url}/mcp`));
    await withPool(pooled(targets, { protocol: "legacy" }), async (upstream) => {
      await gone!.close();
      for (let i = 0; i < 10; i++) {
        const { raw } = await upstream.forward(exchangeFor(callText("write"), ANNA), []);
        assert.equal(textOf(raw), "ok");
      }
      assert.equal(stays!.seen.filter(({ body }) => body?.method === "tools/call").length, 10);
      assert.equal(upstream.status().failedCalls, 0);
    });
  } finally {
    await stays!.close();
  }
});

test("Upstream repeats a safe call whose answer broke off, and one a proxy turns away", async () => {
  const outcomes = ["break", "away"];
  const tools = {
    tools: [{ name: "read", annotations: { readOnlyHint: true } }, { name: "write" }],
  };
  const bad = legacy(({ body }, response) => {
    if (body?.method === "tools/list") {
      json(response, 200, result(body.id, tools));
      return true;
    }
    if (body?.method !== "tools/call") return false;
    if (outcomes[0] === "away") json(response, 503, { error: "busy" });
    else {
      sse(response)({ jsonrpc: "2.0", method: "notifications/message", params: { data: 1 } });
      response.end();
    }
    return true;
  });
  const good = legacy(({ body }, response) => {
    if (body?.method !== "tools/list") return false;
    json(response, 200, result(body.id, tools));
    return true;
  });
  const servers = [await serveHttp(bad), await serveHttp(good)];
  const targets = servers.map(({ url }) => httpTarget(url));
  const called = () =>
    servers.map(({ seen }) => seen.filter(({ body }) => body?.method === "tools/call").length);
  try {
    for (const [name, expected] of [["read", [1, 2]], ["write", [1, 1]]] as const) {
      for (const server of servers) server.seen.splice(0);
      await withPool(pooled(targets, { protocol: "legacy" }), async (upstream) => {
        const call = () => upstream.forward(exchangeFor(callText(name), ANNA), []);
        const [first, second] = await Promise.allSettled([call(), call()]);
        if (name === "read") {
          assert.deepEqual([first!.status, second!.status], ["fulfilled", "fulfilled"]);
        } else {
          const reason = (first as PromiseRejectedResult).reason as RpcError;
          assert.match(reason.message, /ended its answer stream.*; the call was not repeated/);
        }
        assert.deepEqual(called(), expected);
      });
    }
    outcomes.shift();
    for (const server of servers) server.seen.splice(0);
    await withPool(pooled(targets, { protocol: "legacy" }), async (upstream) => {
      const { raw } = await upstream.forward(exchangeFor(callText("read"), ANNA), []);
      assert.equal(textOf(raw), "ok");
      assert.deepEqual(called(), [1, 1]);
    });
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
});

for (const junk of ["ping", '{"type":"keepalive"}', "[]"]) {
  test(`A stream that is cut off is no answer, whatever came before: ${junk}`, async () => {
    const tools = [{ name: "read", annotations: { readOnlyHint: true } }, { name: "write" }];
    const cuts: (() => void)[] = [];
    let isCut = true;
    const handler = legacy(({ body }, response) => {
      if (body?.method === "tools/list") json(response, 200, result(body.id, { tools }));
      else if (body?.method === "tools/call" && isCut) {
        isCut = false;
        sse(response);
        response.write(`data: ${junk}\n\n`);
        cuts.push(() => response.socket!.destroy());
      } else return false;
      return true;
    });
    await withHttp(handler, async (upstream, _, log) => {
      const call = async (name: string, nth: number) => {
        const answer = upstream.forward(exchangeFor(callText(name), ANNA), []);
        const isIgnored = ({ message }: { message: string }) => message.startsWith("Ignored");
        await log.when(() => log.lines.filter(isIgnored).length === nth);
        cuts.shift()!();
        return answer;
      };
      assert.equal(textOf((await call("read", 1)).raw), "ok");
      isCut = true;
      await assert.rejects(call("write", 2), /"x" broke off its answer.*; the call was not repeat/);
    }, { protocol: "legacy" });
  });
}

test("Upstream does not repeat the round of a call that carries answers", async () => {
  const targets = [poolTarget("modern"), poolTarget("modern")];
  await withPool(pooled(targets), async (upstream) => {
    const raw = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: {
        name: "hold-read",
        inputResponses: { a: {} },
        _meta: { progressToken: "t" },
      },
    });
    const told = Promise.withResolvers<void>();
    const exchange = Object.assign(exchangeFor(raw, MODERN_CLIENT), {
      notify: () => told.resolve(),
    });
    const call = upstream.forward(exchange, []);
    await told.promise;
    const busy = upstream.status().instances!.find(({ inFlight }) => inFlight > 0)!;
    process.kill(busy.pid!, "SIGKILL");
    await assert.rejects(call, /the call was not repeated, because its client has been asked/);
  });
});
