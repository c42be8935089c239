import { test } from "node:test";
import { playRounds } from "../isolation/principals-house.ts";

test("a thousand rounds of two principals leak nothing", async () => {
  await playRounds({ first: 1_000, count: 1_000, steps: 60 });
});
