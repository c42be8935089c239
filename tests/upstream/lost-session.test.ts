import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { ErrorCode, type RpcError } from "../../src/protocol/errors.ts";
import {
  error,
  type Handler,
  INITIALIZED,
  json,
  legacy,
  result,
  type Seen,
  sse,
  TOOLS,
} from "./fakes/http-server.ts";
import {
  refusalIn,
  type SessionRefusal,
  SessionWatch,
} from "../../src/upstream/transport/lost-session.ts";
import { FakeClock } from "./fakes/clock.ts";
import { call, callText, exchangeFor, textOf } from "./support.ts";
import { withHttp } from "./with-http.ts";

/** How a server refuses a request. */
type Refusal = (response: ServerResponse, seen: Seen) => void;

const asJson = (status: number, code: number, message: string): Refusal => (response, { body }) =>
  json(response, status, error(body?.id ?? null, code, message));
const asText = (status: number, text: string): Refusal => (response) =>
  void response.writeHead(status, { "content-type": "text/plain" }).end(text);

/** Ways in which servers say that they have forgotten a session. */
const WAYS: readonly (readonly [string, Refusal])[] = [
  ["404", asJson(404, -32001, "Session not found")],
  ["400 and JSON", asJson(400, -32000, "Bad Request: No valid session ID provided")],
  ["400 and text", asText(400, "Invalid or missing session ID")],
  ["401", asJson(401, -32000, "Session not found")],
  ["403", asText(403, "")],
  ["410", asText(410, "Gone")],
  ["422", asJson(422, -32600, "Unknown session")],
  ["500", asText(500, "KeyError: 's-1'")],
  ["200 and JSON", asJson(200, -32001, "Session not found")],
  ["200 and an event", (response, { body }) => {
    sse(response)(error(body?.id ?? null, -32001, "Session not found"));
    response.end();
  }],
];

/** A server with one session at a time; `forget` makes the present one unknown. */
function forgetful(refuse: Refusal, special: (seen: Seen, response: ServerResponse) => boolean) {
  let session = 0;
  let known = true;
  const handler = legacy((seen, response) => {
    const { body, headers, method } = seen;
    if (body?.method === "initialize") {
      known = true;
      json(response, 200, result(body.id, INITIALIZED), { "mcp-session-id": `s-${++session}` });
      return true;
    }
    const own = headers["mcp-session-id"];
    if (own === undefined || (method === "GET" && known)) return false;
    if (known && own === `s-${session}`) return special(seen, response);
    refuse(response, seen);
    return true;
  });
  return { handler, forget: () => known = false, sessions: () => session };
}

const called = (seen: readonly Seen[]) => seen.filter(({ body }) => body?.method === "tools/call");

for (const [name, refuse] of WAYS) {
  // Whoever fails in the middle of its work may have done a part of it: that call is not sent again.
  if (name === "500") {
    test("A session is lost that is refused with 500, and the call is not sent again", async () => {
      const { handler, forget, sessions } = forgetful(refuse, () => false);
      await withHttp(handler, async (upstream, server) => {
        forget();
        await assert.rejects(upstream.forward(call("write"), []));
        assert.equal(called(server.seen).length, 1);
        assert.equal(textOf((await upstream.forward(call("write"), [])).raw), "ok");
        assert.equal(sessions(), 2);
      });
    });
  } else {test(`A session is lost that is refused with ${name}, and no call fails for it`, async () => {
      const { handler, forget, sessions } = forgetful(refuse, () =>
        false);
      await withHttp(handler, async (upstream, server) => {
        forget();
        // What it does is not known, and does not matter: the refusal was of the session.
        assert.equal(textOf((await upstream.forward(call("write"), [])).raw), "ok");
        assert.equal(sessions(), 2);
        assert.equal(called(server.seen).length, 2);
        assert.equal(upstream.state.phase, "ready");
        assert.equal(upstream.status().failedCalls, 0);
      });
    });}

  // 404 for a request with a session means the session (transports).
  if (name === "404") continue;
  test(`A call that is refused with ${name} for itself is no lost session`, async () => {
    const { handler, sessions } = forgetful(refuse, (seen, response) => {
      const isBad = seen.body?.params?.name === "bad";
      if (isBad) refuse(response, seen);
      return isBad;
    });
    await withHttp(handler, async (upstream, server) => {
      for (let i = 0; i < 2; i++) {
        const answer = await upstream.forward(call("bad"), []).catch((error: RpcError) => error);
        assert.ok(answer instanceof Error || answer.error !== undefined);
      }
      assert.equal(called(server.seen).length, 2);
      assert.equal(sessions(), 1);
      assert.equal(upstream.status().restarts, 0);
    });
  });
}

test("Every call that meets a forgotten session is sent once more, whatever it does", async () => {
  const met = Promise.withResolvers<void>();
  let waiting = 0;
  const refuse: Refusal = (response, seen) => {
    // Refused only when all are there, so that none can be told apart from the one that noticed.
    if (seen.body?.method === "tools/call" && ++waiting === 20) met.resolve();
    void met.promise.then(() => json(response, 404, {}));
  };
  const { handler, forget, sessions } = forgetful(refuse, () => false);
  await withHttp(handler, async (upstream) => {
    forget();
    const calls = Array.from({ length: 20 }, () => upstream.forward(call("write"), []));
    for (const { raw } of await Promise.all(calls)) assert.equal(textOf(raw), "ok");
    assert.equal(sessions(), 2);
    assert.equal(upstream.status().failedCalls, 0);
  });
});

for (const [tool, outcome] of [["echo", "ok"], ["write", undefined]] as const) {
  for (const [name, refuse] of WAYS.slice(0, 4)) {
    test(`A session that is found forgotten when a stream is taken up again is lost: ${tool}, ${name}`, async () => {
      const streaming = Promise.withResolvers<() => void>();
      const held = Promise.withResolvers<() => void>();
      let [isFirst, known] = [true, true];
      const { handler, forget, sessions } = forgetful(refuse, (seen, response) => {
        if (seen.body?.method !== "tools/call") return false;
        if (!known) return false;
        if (seen.body.params.name === "held") {
          known = false;
          held.resolve(() => refuse(response, seen));
        } else if (!isFirst) return false;
        else {
          isFirst = false;
          const send = sse(response);
          response.write("retry: 1\n");
          send("", "e-0");
          streaming.resolve(() => void response.end());
        }
        return true;
      });
      await withHttp(handler, async (upstream, server) => {
        const answer = upstream.forward(call(tool), []);
        answer.catch(() => {});
        const end = await streaming.promise;
        // What becomes of this one is waited for before the session is given up.
        const other = upstream.forward(call("held"), []).catch(() => {});
        const refuseHeld = await held.promise;
        forget();
        end();
        await server.until(({ method, headers }) =>
          method === "GET" && headers["last-event-id"] !== undefined
        );
        const lists = () => server.seen.filter(({ body }) => body?.method === "tools/list");
        await server.until(() => lists().length > 1);
        // The probe's refusal is on its way; that of the other call comes behind it.
        for (let i = 0; i < 5; i++) await (await fetch(server.url)).text();
        refuseHeld();
        await other;
        if (outcome !== undefined) assert.equal(textOf((await answer).raw), outcome);
        else {
          await assert.rejects(answer, { message: /^Server "x" has forgotten the session; / });
          assert.equal(textOf((await upstream.forward(call(tool), [])).raw), "ok");
        }
        assert.equal(sessions(), 2);
      }, {
        shape: { tools: { overrides: [{ match: "echo", annotations: { readOnlyHint: true } }] } },
      });
    });
  }
}

test("SessionWatch takes a probe that failed for no answer", async () => {
  let isUp = false;
  const refusal = { status: 400, code: -32000, words: "No valid session" };
  const watch = new SessionWatch({
    clock: new FakeClock(),
    ask: () => isUp ? Promise.resolve(refusal) : Promise.reject(new Error("refused")),
    onForgotten: () => {},
  });
  assert.equal(await watch.isForgotten(refusal, "x"), false);
  isUp = true;
  assert.equal(await watch.isForgotten(refusal, "x"), true);
});

test("SessionWatch asks once a moment about what is refused in the same words", async () => {
  const clock = new FakeClock();
  let asked = 0;
  let answer: SessionRefusal = { status: 200 };
  const watch = new SessionWatch({
    clock,
    ask: () => {
      asked++;
      return Promise.resolve(answer);
    },
    onForgotten: () => {},
  });
  const timeout = refusalIn(200, JSON.stringify(error(1, -32001, "Request timed out")));
  for (
    const refusal of [timeout, { status: 400 }, { status: 400, code: -32000, words: "no file" }]
  ) {
    asked = 0;
    for (let i = 0; i < 20; i++) assert.equal(await watch.isForgotten(refusal, "x"), false);
    assert.equal(asked, 1);
    clock.tick(1_000);
    assert.equal(await watch.isForgotten(refusal, "x"), false);
    assert.equal(asked, 2);
    // In other words it may be something else, and is soon enough in the same.
    answer = { ...refusal, words: "Session not found" };
    assert.equal(await watch.isForgotten(answer, "x"), true);
    clock.tick(1_000);
    assert.equal(await watch.isForgotten(refusal, "x"), true);
    answer = { status: 200 };
  }
});

test("A server that forgets every session at once is not asked for ever", async () => {
  let sessions = 0;
  await withHttp(
    legacy(({ body, headers }, response) => {
      if (body?.method === "initialize") {
        sessions++;
        json(response, 200, result(body.id, INITIALIZED), { "mcp-session-id": `s-${sessions}` });
        return true;
      }
      if (body?.method !== "tools/call" || headers["mcp-session-id"] === undefined) return false;
      json(response, 404, {});
      return true;
    }),
    async (upstream) => {
      for (let i = 0; i < 20; i++) {
        await assert.rejects(upstream.forward(call("write"), []), {
          code: ErrorCode.UpstreamUnavailable,
          message: /^Server "x" has forgotten the session$/,
        });
      }
      // After ten of them calls wait for the back-off like any other's, or fail at once.
      assert.ok(sessions <= 30, `${sessions} sessions`);
    },
  );
});

test("A session of HTTP+SSE is lost when its messages are refused while its stream is open", async () => {
  for (const status of [404, 400, 410]) {
    let session = 0;
    let known = 0;
    const streams: ReturnType<typeof sse>[] = [];
    const handler: Handler = ({ method, url, body }, response) => {
      if (method === "GET") {
        streams[++session] = sse(response);
        known = session;
        return void response.write(`event: endpoint\ndata: /messages?s=${session}\n\n`);
      }
      const own = Number(url.split("=")[1]);
      if (!url.startsWith("/messages")) return void response.writeHead(405).end();
      if (own !== known) return void response.writeHead(status).end("Could not find session");
      response.writeHead(202).end("Accepted");
      const answer = (value: unknown) => streams[own]!(result(body.id, value));
      if (body.method === "initialize") answer(INITIALIZED);
      else if (body.method === "tools/list") answer(TOOLS);
      else if (body.method === "tools/call") answer({ content: [{ type: "text", text: "ok" }] });
    };
    await withHttp(handler, async (upstream) => {
      known = 0;
      const { raw } = await upstream.forward(exchangeFor(callText("write")), []);
      assert.equal(textOf(raw), "ok");
      assert.equal(session, 2);
    });
  }
});
