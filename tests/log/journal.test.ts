import assert from "node:assert/strict";
import { test } from "node:test";
import { journalStream } from "../../src/log/configure.ts";
import { FakeOutput } from "./support.ts";

const outputs = (stdoutIsTerminal = false) => ({
  stdout: new FakeOutput({ identity: "8:1", isTerminal: stdoutIsTerminal }),
  stderr: new FakeOutput({ identity: "8:2" }),
});

test("journalStream() follows the stream that JOURNAL_STREAM names", () => {
  assert.equal(journalStream("8:1", outputs()), "stdout");
  assert.equal(journalStream("8:2", outputs()), "stderr");
});

test("journalStream() is null without the variable, and on a terminal that inherited it", () => {
  assert.equal(journalStream(undefined, outputs()), null);
  assert.equal(journalStream("", outputs()), null);
  assert.equal(journalStream("9:9", outputs(true)), null);
});

test("journalStream() takes a stdout behind a wrapper for the journal", () => {
  assert.equal(journalStream("9:9", outputs()), "stdout");
});
