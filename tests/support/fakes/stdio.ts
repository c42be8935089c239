import { fileURLToPath } from "node:url";
import { BUN } from "../program.ts";
import type { FakeFaults, FakeSpec } from "./spec.ts";

const SCRIPT = fileURLToPath(new URL("./stdio-server.mjs", import.meta.url));

/**
 * How a fake stdio upstream is started, on the runtime that starts fastest; also its entry in a
 * config. One that says nothing at all needs no runtime: it is started again and again.
 */
export function fakeCommand(
  spec: FakeSpec,
): { readonly command: string; readonly args: readonly string[] } {
  const { faults = {}, startsFile, specFile } = spec;
  const silent =
    startsFile === undefined && specFile === undefined && Object.keys(faults).length === 1
      ? silently(faults)
      : undefined;
  if (silent !== undefined) return { command: "sh", args: ["-c", silent, JSON.stringify(spec)] };
  return { command: BUN, args: [SCRIPT, JSON.stringify(spec)] };
}

/** A script for a fault that keeps a fake from its first word; `stdio-server.mjs` does the same. */
function silently({ crashOnStart, hangOnStart }: FakeFaults): string | undefined {
  if (hangOnStart) return "while read -r line; do :; done";
  if (crashOnStart === undefined) return undefined;
  return `echo "fake: this server cannot start" >&2; exit ${crashOnStart}`;
}
