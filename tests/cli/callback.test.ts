/** What comes back from a login, or pretends to. */

import { test } from "node:test";
import { fuzzCallback } from "./login-world.ts";

test("of many answers to a login the right one is taken, and no other", async () => {
  await fuzzCallback(2_000);
});
