/** `mcproxy alerts test`: every channel is tried, and no secret of one is shown. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inDirectory } from "../config/temp.ts";
import { configFile, run } from "./support.ts";

test("each channel is told of a test, and what came of it is shown", () =>
  inDirectory(async (directory) => {
    const got = join(directory, "got");
    const to = [
      { command: ["sh", "-c", `cat > "$0"`, got] },
      { command: ["sh", "-c", "exit 4"] },
      "slack:http://127.0.0.1:1/canary-9182",
    ];
    const file = await configFile({ mcpServers: {}, alerts: { to } });
    const { code, stdout, stderr } = await run(["alerts", "test", "--config", file.path]);
    assert.equal(code, 1, stderr);
    assert.match(stdout, /command +sh +told\n/);
    assert.match(stdout, /command +sh +it ended with code 4\n/);
    assert.match(stdout, /slack +127\.0\.0\.1:1 +\w/);
    assert.ok(!stdout.includes("canary"));
    const { rule, subject, state, text } = JSON.parse(await readFile(got, "utf8"));
    assert.deepEqual([rule, subject, state], ["test", "mcproxy", "test"]);
    assert.match(text, /nothing is wrong/);
    await file.close();
  }));

test("without channels, or with another word, it says what is missing", async () => {
  const file = await configFile({ mcpServers: {} });
  const none = await run(["alerts", "test", "--config", file.path]);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /the configuration has nobody in the "to" of "alerts"/);
  const wrong = await run(["alerts", "tset"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /expected test/);
  await file.close();
});
