import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { stateContext, StateSigner } from "../../src/gateway/parking.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { LOCAL, type Principal } from "../../src/protocol/exchange.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";
import { clientOf } from "./middleware/middleware-support.ts";

const PARAMS = { name: "a", arguments: { x: 1, y: 2 } };

function contextOf(
  params: JsonObject,
  server = "s",
  method = "tools/call",
  principal?: Principal,
): string {
  const text = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const request = parseMessage(text) as RequestMessage;
  return stateContext({ request, client: clientOf(undefined, { principal }) }, server);
}

const context = contextOf(PARAMS);
const claims = { call: "c1", round: 1, expires: 1_000 };

test("StateSigner accepts its own state in its own context, with all that it says", () => {
  const signer = new StateSigner();
  assert.deepEqual(signer.verify(signer.sign(claims, context), context), claims);
});

test("StateSigner refuses a state in any other context", () => {
  const signer = new StateSigner();
  const state = signer.sign(claims, context);
  const [payload, mac] = state.split(".");
  for (
    const other of [
      contextOf(PARAMS, "other"),
      contextOf(PARAMS, "s", "prompts/get"),
      contextOf({ ...PARAMS, name: "b" }),
      contextOf({ ...PARAMS, more: 1 }),
      contextOf(PARAMS, 's","tools/call'),
      contextOf(PARAMS, "s", "tools/call", LOCAL),
      contextOf(PARAMS, "s", "tools/call", { ...LOCAL, id: "null" }),
      `${context} `,
      "",
    ]
  ) {
    assert.notEqual(other, context);
    assert.equal(signer.verify(state, other), undefined, other);
  }
  // What is signed is one text: no letter of it may change sides.
  assert.equal(signer.verify(`${payload}${context[0]}.${mac}`, context.slice(1)), undefined);
  assert.equal(signer.verify(`${payload!.slice(0, -1)}.${mac}`, context), undefined);
});

test("StateSigner refuses what another process signed", () => {
  const state = new StateSigner().sign(claims, context);
  assert.equal(new StateSigner().verify(state, context), undefined);
});

test("StateSigner refuses every altered state and never throws", () => {
  const signer = new StateSigner();
  const state = signer.sign(claims, context);
  for (const odd of ["", ".", `${state}.`, `.${state}`, state.split(".")[0]!, `${state}.x`]) {
    assert.equal(signer.verify(odd, context), undefined, odd);
  }
  const altered = fc.oneof(
    fc.string(),
    fc.tuple(fc.nat(state.length - 1), fc.string({ minLength: 1, maxLength: 1 })).map((
      [at, char],
    ) => state.slice(0, at) + char + state.slice(at + 1)),
  );
  fc.assert(fc.property(altered, (text) => {
    const said = signer.verify(text, context);
    // Base64url ignores the unused bits of a last character: the same bytes are the same state.
    if (said !== undefined) assert.deepEqual(said, claims);
    if (said !== undefined) assert.equal(text.split(".")[0], state.split(".")[0]);
  }));
});

test("stateContext() ignores what differs between rounds and the order of keys", () => {
  const retry = contextOf({
    arguments: { y: 2, x: 1 },
    name: "a",
    _meta: { progressToken: 1 },
    inputResponses: { k: {} },
    requestState: "s",
  });
  assert.equal(context, retry);
  assert.notEqual(context, contextOf({ name: "a", arguments: { x: 1, y: 3 } }));
});
