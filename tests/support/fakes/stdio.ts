import { fileURLToPath } from "node:url";
import { BUN } from "../program.ts";
import type { FakeSpec } from "./spec.ts";

const SCRIPT = fileURLToPath(new URL("./stdio-server.mjs", import.meta.url));

/** How a fake stdio upstream is started, on the runtime that starts fastest; also its entry in a config. */
export function fakeCommand(
  spec: FakeSpec,
): { readonly command: string; readonly args: readonly string[] } {
  return { command: BUN, args: [SCRIPT, JSON.stringify(spec)] };
}
