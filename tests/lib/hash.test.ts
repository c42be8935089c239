import assert from "node:assert/strict";
import { test } from "node:test";
import { shortHash } from "../../src/lib/json.ts";

test("shortHash() is the start of the SHA-256 in lower-case base 32", () => {
  // RFC 4648 base 32 of SHA-256("abc") = ba7816bf 8f01cfea …, lower case, without padding.
  assert.equal(shortHash("abc"), "xj4bnp4p");
  assert.equal(shortHash("abc", 16), "xj4bnp4pahh6uqkb");
  assert.equal(shortHash(""), "4oymiquy");
});

test("shortHash() has the asked length up to 51 characters", () => {
  for (let length = 0; length <= 51; length++) {
    const tag = shortHash("x", length);
    assert.equal(tag.length, length);
    assert.match(tag, /^[a-z2-7]*$/);
  }
  assert.equal(shortHash("x", 60).length, 51);
});
