import process from "node:process";
import { runtime } from "#runtime";
import { processIo } from "./src/app/io.ts";
import { main } from "./src/cli/main.ts";

// Explicitly, for a child, a timer or stdin may keep the event loop alive.
process.exit(await main(process.argv.slice(2), processIo(runtime)));
