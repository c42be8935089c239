import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import fc from "fast-check";
import { fittingInput, httpInput } from "./arbitrary.ts";
import { corpus, type HttpInput } from "./input.ts";
import { Target } from "./target.ts";
import { rounds } from "../support/rounds.ts";

/** The runs are the same every time. A failure prints its input: it belongs into the corpus. */
const SEED = 20261120;

const uncaught: unknown[] = [];
process.on("unhandledRejection", (error) => uncaught.push(error));

test("HTTP front answers every kept hostile request and goes on", async () => {
  await using target = await Target.start();
  for (const { name, input } of corpus<HttpInput>("http.json")) {
    await target.send(input).catch((cause) => {
      throw new Error(`Cannot survive "${name}": ${cause.message}`, { cause });
    });
    await target.checkAlive();
  }
  assert.deepEqual(uncaught, []);
});

for (
  const [name, arbitrary, numRuns] of [
    ["any request", httpInput, 4_000],
    ["any request whose headers fit", fittingInput, 2_000],
  ] as const
) {
  test(`HTTP front answers ${name} and goes on`, async () => {
    await using target = await Target.start();
    const property = fc.asyncProperty(arbitrary, (input) => target.send(input));
    await fc.assert(property, { seed: SEED, numRuns: rounds(numRuns) });
    await target.checkAlive();
    assert.deepEqual(uncaught, []);
  });
}
