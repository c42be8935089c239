/** Builders for tests of gates. */

import type { GatingConfig } from "../../src/config/types.ts";
import { DEFAULT_SETTINGS } from "../../src/config/settings.ts";
import { buildSnapshot, type Snapshot } from "../../src/gating/gate.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import type { ServerEntry, View } from "../../src/registry/types.ts";
import { entry } from "../registry/builders.ts";

/** What an empty file gives, and what a test says of it. */
export function config(rest: Partial<GatingConfig> = {}): GatingConfig {
  return { ...DEFAULT_SETTINGS.gating, mode: "auto", ...rest };
}

/** A server with these tools, as JSON objects with at least a name. */
export function serverOf(
  name: string,
  tools: readonly (JsonObject & { readonly name: string })[],
  rest: Partial<ServerEntry> = {},
): ServerEntry {
  const items = tools.map((tool) => ({ key: tool.name, raw: JSON.stringify(tool) }));
  return entry(name, { tools: { items } }, rest);
}

/** A snapshot of these servers. */
export function registryOf(
  servers: readonly ServerEntry[],
  gating: GatingConfig = config(),
  previous?: Snapshot,
): Snapshot {
  return buildSnapshot({ version: (previous?.version ?? 0) + 1, servers, gating }, previous);
}

/** The names a view lists, in its order. */
export function listed(view: Pick<View, "list">): readonly string[] {
  return view.list("tools", "legacy").items.map((raw) => JSON.parse(raw).name);
}
