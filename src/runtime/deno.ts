/** The runtime layer on Deno; `#runtime` in `package.json` leads here. */

import { openDatagram } from "./deno-datagram.ts";
import { serve } from "./deno-serve.ts";
import { onSignal } from "./node/signals.ts";
import { spawn } from "./node/spawn.ts";
import { watchDirectory } from "./node/watch.ts";
import type { Runtime } from "./types.ts";

/** The one {@link Runtime} of a process that runs on Deno. */
export const runtime: Runtime = {
  name: "deno",
  version: Deno.version.deno,
  serve,
  spawn,
  openDatagram,
  watchDirectory,
  onSignal,
};
