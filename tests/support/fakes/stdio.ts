import { fileURLToPath } from "node:url";
import type { FakeSpec } from "./spec.ts";

const SCRIPT = fileURLToPath(new URL("./stdio-server.mjs", import.meta.url));

/** How a fake stdio upstream is started; also its entry in a config. */
export function fakeCommand(
  spec: FakeSpec,
): { readonly command: string; readonly args: readonly string[] } {
  return { command: "node", args: [SCRIPT, JSON.stringify(spec)] };
}
