import { test } from "node:test";
import { restartUnderClients } from "./restarting.ts";

// `deno task ok:slow` has twenty.
test("four restarts, one by SIGKILL, break no client", () => restartUnderClients(4));
