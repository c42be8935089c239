import assert from "node:assert/strict";
import { test } from "node:test";
import { ESTIMATE, estimateTokens, exactTokenizer } from "../../src/lib/tokens.ts";
import { processorTime } from "../support/processor-time.ts";

test("exactTokenizer() counts as o200k does, control tokens as the text they are", async () => {
  const { name, isExact, count } = await exactTokenizer();
  assert.deepEqual([name, isExact], ["o200k_base", true]);
  for (
    const [text, tokens] of [
      ["", 0],
      ["hello world", 2],
      ["antidisestablishmentarianism", 6],
      ["2 + 2 = 4", 7],
      ["お誕生日おめでとう", 8],
    ] as const
  ) assert.equal(count(text), tokens, text);
  assert.ok(count("<|endoftext|>") > 1);
});

test("estimates are within a quarter of the exact count of a usual definition", async () => {
  const text = JSON.stringify({
    name: "filesystem_read_text_file",
    description: "Read the complete contents of a file from the file system as text.",
    input_schema: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
  });
  const { count } = await exactTokenizer();
  assert.ok(Math.abs(estimateTokens(text) / count(text) - 1) < 0.25, `${estimateTokens(text)}`);
  assert.deepEqual([ESTIMATE.count(text), ESTIMATE.isExact], [estimateTokens(text), false]);
});

test("a very long text is judged by its beginning", () => {
  const sentence = "Returns the list of open issues of a repository. ";
  const one = estimateTokens(sentence.repeat(1_000));
  const long = sentence.repeat(100_000);
  let hundred = 0;
  const took = processorTime(() => hundred = estimateTokens(long));
  assert.ok(took < 200, `${took} ms`);
  assert.ok(Math.abs(hundred / (100 * one) - 1) < 0.01, `${hundred}`);
});
