import { rawAt } from "../lib/json-edit.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import type { Era } from "../protocol/versions.ts";
import type { ServerEntry } from "./types.ts";

/** One server's declaration of one capability. */
export interface Declaration {
  readonly server: string;
  /** What it declared, as it wrote it (JSON). */
  readonly text: string;
  /** The era it declared it in, where that is known. */
  readonly era?: Era;
}

/** Who declares what; keys as the upstreams wrote them, declarations in the order of the servers. */
export type Declarations = ReadonlyMap<string, readonly Declaration[]>;

/** What the servers of a view declare. Facts only: what the gateway can do itself is not here. */
export interface Capabilities {
  /** By top-level key: `tools`, `logging`, `tasks` and whatever comes. */
  readonly declared: Declarations;
  /** The members of `experimental`. */
  readonly experimental: Declarations;
  /** The members of `extensions`, by identifier. */
  readonly extensions: Declarations;
  /** The servers whose `resources` can be subscribed to (`resources.subscribe`). */
  readonly subscribe: readonly string[];
  /** The servers that list their tasks (`tasks.list`, 2025-11-25). */
  readonly taskLists: readonly string[];
}

/** Reads the declarations of these servers. A capability that is `null` or `false` is none. */
export function readCapabilities(servers: readonly ServerEntry[]): Capabilities {
  const declared = new Map<string, Declaration[]>();
  const experimental = new Map<string, Declaration[]>();
  const extensions = new Map<string, Declaration[]>();
  const subscribe: string[] = [];
  const taskLists: string[] = [];
  for (const { name: server, inventory: { capabilities: text, era } } of servers) {
    const parsed = parse(text);
    const by = { server, ...(era === undefined ? {} : { era }) };
    collect(declared, by, text, parsed, []);
    collect(experimental, by, text, parsed.experimental, ["experimental"]);
    collect(extensions, by, text, parsed.extensions, ["extensions"]);
    if (isObject(parsed.resources) && parsed.resources.subscribe === true) subscribe.push(server);
    if (era !== "modern" && isObject(parsed.tasks) && isObject(parsed.tasks.list)) {
      taskLists.push(server);
    }
  }
  return { declared, experimental, extensions, subscribe, taskLists };
}

function collect(
  into: Map<string, Declaration[]>,
  by: Omit<Declaration, "text">,
  text: string,
  members: unknown,
  path: readonly string[],
): void {
  if (!isObject(members)) return;
  for (const [key, value] of Object.entries(members)) {
    if (value === null || value === false) continue;
    const declaration = { ...by, text: rawAt(text, [...path, key])! };
    const others = into.get(key);
    if (others === undefined) into.set(key, [declaration]);
    else others.push(declaration);
  }
}

function parse(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
