/**
 * The layouts of VS Code: `.vscode/mcp.json` with `servers` and `inputs`, and its older settings
 * with both below `mcp`.
 */

import type { ConfigPath } from "./issue.ts";
import { fromEntries } from "./mapping.ts";
import { addSection, isRawObject, type RawObject, type ShapeContext } from "./section.ts";
import type { Input } from "./tree.ts";

/** Maps `servers` and `inputs`. */
export function mapVscode(root: RawObject, context: ShapeContext): void {
  for (const key of context.document.keys([])) {
    if (key === "servers") addServers(root[key], [key], context);
    else if (key === "inputs") addInputs(root[key], [key], context);
    else context.mapping.setting(key, root[key], [key]);
  }
}

/** Maps `mcp.servers` and `mcp.inputs`; the rest is the editor's business. */
export function mapVscodeSettings(root: RawObject, context: ShapeContext): void {
  const section = root["mcp"] as RawObject;
  addServers(section["servers"], ["mcp", "servers"], context);
  if ("inputs" in section) addInputs(section["inputs"], ["mcp", "inputs"], context);
}

function addServers(section: unknown, path: ConfigPath, context: ShapeContext): void {
  addSection(section, path, context, (_, entry) => {
    const { env } = entry;
    if (!isRawObject(env)) return entry;
    // VS Code takes numbers, and null for "not set".
    const texts = Object.entries(env)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [key, typeof value === "number" ? String(value) : value] as const);
    return fromEntries([...Object.entries(entry), ["env", fromEntries(texts)]]);
  });
}

/** Reads `inputs`: what `${input:id}` may ask for. */
export function addInputs(
  value: unknown,
  path: ConfigPath,
  { mapping, collector }: ShapeContext,
): void {
  if (!Array.isArray(value)) {
    collector.error(path, 'found no array, expected an array of inputs with "id" each');
    return;
  }
  value.forEach((input: unknown, index) => {
    const id = isRawObject(input) ? input["id"] : undefined;
    if (typeof id !== "string" || id === "") {
      collector.error([...path, index], 'found an input without "id", expected an object with one');
      return;
    }
    const fallback = (input as RawObject)["default"];
    const declared: Input = typeof fallback === "string" ? { default: fallback } : {};
    mapping.inputs.set(id, declared);
  });
}
