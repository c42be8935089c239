/**
 * The layout of Zed: `context_servers` in its settings. The entries are `{"source": "custom",
 * "command": "…"}`, or older ones whose `command` is an object with `path`, `args` and `env`.
 */

import { quote } from "./issue.ts";
import { fromEntries } from "./mapping.ts";
import { addSection, isRawObject, type RawObject, type ShapeContext } from "./section.ts";

/** Maps `context_servers`, and of the settings of the editor beside it those that are `known`. */
export function mapZed(root: RawObject, context: ShapeContext, known: readonly string[]): void {
  const { document, mapping, collector } = context;
  const others: string[] = [];
  for (const key of document.keys([])) {
    if (key === "context_servers") continue;
    if (known.includes(key)) mapping.setting(key, root[key], [key]);
    else others.push(key);
  }
  const [first] = others;
  if (first !== undefined) {
    const more = others.length === 1
      ? "is a setting"
      : `and ${others.length - 1} more are settings`;
    collector.warn([first], `${quote(first)} ${more} of Zed and ignored here`, { part: "key" });
  }
  addSection(root["context_servers"], ["context_servers"], context, (name, entry, path) => {
    if (!("command" in entry) && !("url" in entry) && isOfExtension(entry)) {
      collector.warn(path, "the server of an extension of Zed is left out", {
        part: "key",
        remedy: 'to serve it here, add the "command" that starts it',
      });
      return undefined;
    }
    const { command, source: _source, ...rest } = entry;
    if (!isRawObject(command)) return command === undefined ? rest : { ...rest, command };
    const parts: [string, unknown][] = Object.entries(rest);
    for (const [key, value] of Object.entries(command)) {
      const ours = key === "path" ? "command" : key;
      parts.push([ours, value]);
      mapping.moved(["mcpServers", name, ours], [...path, "command", key]);
    }
    return fromEntries(parts);
  });
}

function isOfExtension({ source, settings }: RawObject): boolean {
  return source === "extension" || (source === undefined && settings !== undefined);
}
