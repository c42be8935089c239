/** Lists of tools that other clients keep beside the server, brought into its `tools`. */

import type { IssueCollector } from "./collector.ts";
import { type ConfigPath, quote } from "./issue.ts";
import { fromEntries, type Mapping } from "./mapping.ts";

/** What such a list means here. */
export type ChoiceMeaning = "tools.include" | "tools.exclude";

/** One list of another client. */
export interface ToolChoice {
  /** As the client calls it. */
  readonly key: string;
  readonly means: ChoiceMeaning;
  readonly value: unknown;
}

/** What {@link withChoices} needs beside the entry. */
export interface ChoiceContext {
  /** The server's name. */
  readonly name: string;
  /** Where the server was written. */
  readonly written: ConfigPath;
  readonly mapping: Mapping;
  readonly collector: IssueCollector;
}

/** Tells a key that chooses tools from the others. */
export function isChoice(means: string): means is ChoiceMeaning {
  return means === "tools.include" || means === "tools.exclude";
}

/**
 * The entry of a server with the lists in its `tools`, beside what that says. The same thing said
 * twice is an error: whichever of the two were passed over, a tool could be offered that somebody
 * has ruled out.
 */
export function withChoices(
  entry: Readonly<Record<string, unknown>>,
  choices: readonly ToolChoice[],
  { name, written, mapping, collector }: ChoiceContext,
): Readonly<Record<string, unknown>> {
  const [first] = choices;
  if (first === undefined) return entry;
  const place = ["mcpServers", name, "tools"];
  const { tools } = entry;
  const isList = Array.isArray(tools);
  // What is neither list nor object is complained about, and the lists would hide it.
  if (tools !== undefined && (typeof tools !== "object" || tools === null)) return entry;
  if (isList) mapping.moved([...place, "include"], [...written, "tools"]);
  else if (tools === undefined) mapping.moved(place, [...written, first.key]);
  const members = new Map(Object.entries(isList ? { include: tools } : tools ?? {}));
  const sayers = new Map([...members.keys()].map((member) => [member, ownKey(member, isList)]));
  for (const { key, means, value } of choices) {
    const member = means.slice("tools.".length);
    const other = sayers.get(member);
    if (other !== undefined) {
      const found = `found both ${quote(other)} and ${quote(key)}`;
      collector.error([...written, key], `${found}, expected one of them`, {
        part: "key",
        remedy: `put all that ${quote(key)} lists into ${quote(other)}`,
      });
      continue;
    }
    sayers.set(member, key);
    members.set(member, value);
    mapping.moved([...place, member], [...written, key]);
  }
  return fromEntries([...Object.entries(entry), ["tools", fromEntries(members)]]);
}

function ownKey(member: string, isList: boolean): string {
  return isList ? "tools" : `tools.${member}`;
}
