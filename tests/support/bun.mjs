// What `bun test` loads first: its configuration knows no time-out, and each file that it loads sets
// the default back to 5 s, which is less than a test of real processes takes on a loaded machine: a minute was, too.

import { mock } from "bun:test";
import * as suite from "node:test";

const TIMEOUT = 300_000;

const original = suite.test;

function test(name, ...rest) {
  const run = rest.pop();
  return original(name, { timeout: TIMEOUT, ...rest[0] }, run);
}

mock.module("node:test", () => ({ ...suite, default: test, test }));
