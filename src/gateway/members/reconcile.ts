/**
 * Desired state (the configuration) against actual state (the members): what a reload has to do, as
 * a pure function. Crash and reload are the same thing seen from here (DESIGN §3.5): whoever is
 * asked for is kept alive, everybody else is let go.
 */

import type { ServerConfig } from "../../config/config.ts";

/** What there is of one server. */
export interface ActualServer {
  /** What the member that serves it was made from. */
  readonly serving: ServerConfig;
  /** What its successor was made from, where one is on its way. */
  readonly coming?: ServerConfig | undefined;
}

/** What is to be done about one server; whoever is not named is left alone. */
export type ReloadStep =
  /** There is none yet. */
  | { readonly do: "add"; readonly server: ServerConfig }
  /** Another process or address: it is started beside the old one and then takes its place. */
  | { readonly do: "replace"; readonly server: ServerConfig }
  /** The same connection under other limits or names. */
  | { readonly do: "adjust"; readonly server: ServerConfig }
  /** The same for a successor that has not taken its place yet. */
  | { readonly do: "adjustComing"; readonly server: ServerConfig }
  /** Its successor is not wanted after all. */
  | { readonly do: "abandon"; readonly name: string }
  /** It is not wanted any more. */
  | { readonly do: "remove"; readonly name: string };

/**
 * The steps from what there is to what is wanted. A server that is disabled is not wanted; one
 * whose successor was made from the very wish is waited for.
 */
export function planReload(
  actual: ReadonlyMap<string, ActualServer>,
  desired: ReadonlyMap<string, ServerConfig>,
): readonly ReloadStep[] {
  const steps: ReloadStep[] = [];
  for (const name of actual.keys()) {
    if (!isWanted(desired.get(name))) steps.push({ do: "remove", name });
  }
  for (const server of desired.values()) {
    if (!isWanted(server)) continue;
    const there = actual.get(server.name);
    if (there === undefined) steps.push({ do: "add", server });
    else steps.push(...changes(there, server));
  }
  return steps;
}

function changes({ serving, coming }: ActualServer, server: ServerConfig): readonly ReloadStep[] {
  if (serving.key === server.key && sameProblem(serving, server)) {
    const abandon = coming === undefined
      ? []
      : [{ do: "abandon", name: server.name } satisfies ReloadStep];
    return serving === server ? abandon : [...abandon, { do: "adjust", server }];
  }
  if (coming !== undefined && coming.key === server.key && sameProblem(coming, server)) {
    return coming === server ? [] : [{ do: "adjustComing", server }];
  }
  return [{ do: "replace", server }];
}

/** A problem that only moved to another line is the same problem. */
function sameProblem(one: ServerConfig, other: ServerConfig): boolean {
  return one.problem?.message === other.problem?.message;
}

function isWanted(server: ServerConfig | undefined): boolean {
  return server !== undefined && !server.disabled;
}
