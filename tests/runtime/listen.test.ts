import assert from "node:assert/strict";
import { test } from "node:test";
import { listenError, report } from "../../src/runtime/listen.ts";

test("listenError() says in words why a port cannot be had", () => {
  const denied = listenError("::", 80, Object.assign(new Error("denied"), { code: "EACCES" }));
  assert.equal(denied.code, "EACCES");
  assert.match(
    denied.message,
    /^Cannot listen on "\[::\]:80": permission denied; expected a port /,
  );
  const other = listenError("x", 1, Object.assign(new Error("odd"), { code: "EODD" }));
  assert.equal(other.message, 'Cannot listen on "x:1": odd');
});

test("listenError() calls a name that does not resolve ENOTFOUND on both runtimes", () => {
  const deno = new Error("failed to lookup address information: Name or service not known");
  const bun = Object.assign(new Error("listen"), { code: "EAGAIN" });
  for (const cause of [deno, bun]) {
    const error = listenError("no.such.name", 80, cause);
    assert.equal(error.code, "ENOTFOUND");
    assert.equal(error.cause, cause);
  }
});

test("report() swallows what the observer throws", () => {
  const seen: unknown[] = [];
  report((error) => {
    seen.push(error);
    throw new Error("observer");
  }, "told");
  assert.deepEqual(seen, ["told"]);
});
