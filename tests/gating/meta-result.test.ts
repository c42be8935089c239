import assert from "node:assert/strict";
import { test } from "node:test";
import { metaReply, mistake } from "../../src/gating/meta-call.ts";
import { clientOf, exchangeOf, GatingWorld } from "./support.ts";

const { view } = new GatingWorld().registry.gates.aggregate;

test("metaReply() writes what each era expects of a result", () => {
  const legacy = exchangeOf("discover_tools", {}, clientOf("c1"));
  assert.deepEqual(JSON.parse(metaReply(legacy, view, { text: "t" })), {
    jsonrpc: "2.0",
    id: 1,
    result: { content: [{ type: "text", text: "t" }], isError: false },
  });
  const modern = exchangeOf("discover_tools", {}, clientOf());
  const { result } = JSON.parse(metaReply(modern, view, mistake("m", { a: 1 })));
  assert.deepEqual(
    [result.isError, result.structuredContent, result.resultType],
    [true, { a: 1 }, "complete"],
  );
  assert.equal(typeof result._meta, "object");
});

test("metaReply() writes no half characters, which some parsers refuse the message for", () => {
  const exchange = exchangeOf("discover_tools", {}, clientOf("c1"));
  const text = "cut \ud83d, whole \u{1f600}, as text \\ud83d";
  const reply = metaReply(exchange, view, { text, structured: { deep: [{ text }], n: 1 } });
  const { result } = JSON.parse(reply);
  const expected = text.toWellFormed();
  assert.ok(expected.includes("\ufffd") && expected.includes("\\ud83d"));
  assert.equal(result.content[0].text, expected);
  assert.deepEqual(result.structuredContent, { deep: [{ text: expected }], n: 1 });
  assert.ok(reply.isWellFormed());
});
