/**
 * Run by `output.test.ts` as a process of its own: writes far more than a pipe holds, says so on
 * stderr, and ends when all of it has been taken. Nothing else keeps it alive.
 */
import process from "node:process";
import { runtime } from "#runtime";
import { standardOutputs } from "../../src/log/output.ts";

const written = standardOutputs(runtime).stdout.write("x".repeat(1_000_000));
process.stderr.write("written\n");
await written;
process.exit(7);
