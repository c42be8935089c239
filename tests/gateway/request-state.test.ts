import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { paramsDigest, type StateContext, StateSigner } from "../../src/gateway/parking.ts";

const context: StateContext = {
  principal: "p",
  session: "",
  server: "s",
  method: "tools/call",
  digest: paramsDigest({ name: "a", arguments: { x: 1 } }),
};
const claims = { call: "c1", round: 1, expires: 1_000 };

test("StateSigner accepts its own state in its own context until it expires", () => {
  const signer = new StateSigner();
  const state = signer.sign(claims, context);
  assert.deepEqual(signer.verify(state, context, 1_000), claims);
  assert.equal(signer.verify(state, context, 1_001), "expired");
});

test("StateSigner refuses a state in any other context", () => {
  const signer = new StateSigner();
  const state = signer.sign(claims, context);
  for (const key of Object.keys(context)) {
    const other = { ...context, [key]: "other" };
    assert.match(String(signer.verify(state, other, 0)), /altered/, key);
  }
  const shifted = { ...context, principal: 'p","', session: "" };
  assert.match(String(signer.verify(state, shifted, 0)), /altered/);
});

test("StateSigner refuses what another process signed", () => {
  assert.match(
    String(new StateSigner().verify(new StateSigner().sign(claims, context), context, 0)),
    /altered/,
  );
});

test("StateSigner refuses every altered state and never throws", () => {
  const signer = new StateSigner();
  const state = signer.sign(claims, context);
  const altered = fc.oneof(
    fc.string(),
    fc.tuple(fc.nat(state.length - 1), fc.string({ minLength: 1, maxLength: 1 })).map((
      [at, char],
    ) => state.slice(0, at) + char + state.slice(at + 1)),
  );
  fc.assert(fc.property(altered, (text) => {
    const verdict = signer.verify(text, context, 0);
    // Base64url ignores the unused bits of a last character: the same bytes are the same state.
    if (typeof verdict !== "string") assert.deepEqual(verdict, claims);
    if (typeof verdict !== "string") assert.equal(text.split(".")[0], state.split(".")[0]);
  }));
});

test("paramsDigest() ignores what differs between rounds and the order of keys", () => {
  const first = paramsDigest({ name: "a", arguments: { x: 1, y: 2 } });
  const retry = paramsDigest({
    arguments: { y: 2, x: 1 },
    name: "a",
    _meta: { progressToken: 1 },
    inputResponses: { k: {} },
    requestState: "s",
  });
  assert.equal(first, retry);
  assert.notEqual(first, paramsDigest({ name: "a", arguments: { x: 1, y: 3 } }));
});
