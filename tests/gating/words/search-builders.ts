/** Builders for tests of the search. */

import { readTool, type ToolDocument } from "../../../src/gating/words/document.ts";

/** A tool as {@link tool} takes it; what is missing is empty. */
export interface ToolGiven {
  readonly description?: string;
  readonly title?: string;
  readonly server?: string;
  readonly serverTitle?: string;
  readonly serverDescription?: string;
  readonly tags?: readonly string[];
  /** Properties of the input schema. */
  readonly parameters?: object;
}

/** The document of a tool `server_name`. */
export function tool(name: string, given: ToolGiven = {}): ToolDocument {
  const { server = "s", serverTitle = "", serverDescription = "", tags = [], parameters } = given;
  return {
    id: `${server}_${name}`,
    name,
    server: { name: server, title: serverTitle, description: serverDescription },
    text: readTool({
      name,
      title: given.title,
      description: given.description,
      inputSchema: { type: "object", properties: parameters },
    }),
    tags,
  };
}

/** Many tools of different words: `count` of them on servers of ten. */
export function manyTools(count: number): readonly ToolDocument[] {
  const verbs = ["get", "list", "create", "delete", "update", "search", "send", "convert"];
  const nouns = ["invoice", "branch", "message", "weather", "recipe", "playlist", "ticket", "note"];
  const things = ["report", "archive", "account", "region", "history", "label", "status", "owner"];
  return Array.from({ length: count }, (_, index) => {
    const pick = (from: readonly string[], step: number) =>
      from[Math.floor(index / step) % from.length]!;
    const words = [pick(verbs, 1), pick(nouns, 8), pick(things, 64)];
    return tool(`${words.join("_")}_${index}`, {
      server: `server${Math.floor(index / 10)}`,
      description: `Will ${words.join(" the ")}. Number ${index} of word${index} in thing${index}.`,
      parameters: { [`${words[1]}_id`]: { type: "string", description: `The ${words[1]}` } },
    });
  });
}
