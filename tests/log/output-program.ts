/**
 * Run by `output.test.ts` as a process of its own: logs to its real stdout, far more than a pipe
 * holds, while it tells on stderr that its event loop is alive. On a line on stdin it ends.
 */
import process from "node:process";
import { runtime } from "#runtime";
import { configureLogging, getLogger } from "../../src/log/mod.ts";
import { standardOutputs } from "../../src/log/output.ts";

// The log's own: beside it, a write of the runtime's to a full pipe would fail on Deno.
const outputs = standardOutputs(runtime);
const logging = await configureLogging({
  destination: { kind: "stdout" },
  format: "text",
  level: "info",
  env: process.env,
  runtime,
  outputs,
  capacity: 500,
});
const log = getLogger("mcproxy", "test");
for (let i = 0; i < 5_000; i++) log.info("line {i} {padding}", { i, padding: "x".repeat(500) });
let turns = 0;
const timer = setInterval(() => {
  if (++turns === 5) void outputs.stderr.write("alive\n");
}, 10);
process.stdin.once("data", async () => {
  clearInterval(timer);
  log.info("the end");
  await logging.close();
  await outputs.stderr.write(`stats ${JSON.stringify(logging.stats())}\n`);
  process.exit(0);
});
