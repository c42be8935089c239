/** What a search knows of a tool. */

import { isObject, type Json, type JsonObject } from "../../lib/json.ts";

/** One parameter of a tool, as far as it can be told in a line. */
export interface ToolParameter {
  readonly name: string;
  readonly description: string;
  /** The values it is limited to; empty where it is not. */
  readonly values: readonly string[];
}

/** What the tool itself says. */
export interface ToolText {
  readonly title: string;
  readonly description: string;
  readonly parameters: readonly ToolParameter[];
}

/** What the tool's server says; one object for all tools of a server saves work. */
export interface ServerText {
  /** Config key. */
  readonly name: string;
  /** Other names: its alias, its title, what it calls itself. */
  readonly title: string;
  readonly description: string;
}

/** A tool that can be found. */
export interface ToolDocument {
  /** The exposed name; unique in an index. */
  readonly id: string;
  /** The upstream's own name. */
  readonly name: string;
  readonly server: ServerText;
  /** The same object as long as the tool says the same: what is read from it is remembered. */
  readonly text: ToolText;
  readonly tags: readonly string[];
}

// A server may list megabytes; beyond these nothing is said that helps to find a tool.
const LONGEST_DESCRIPTION = 4000;
const LONGEST_PARAMETER = 500;
const MOST_PARAMETERS = 100;
const MOST_VALUES = 50;
const DEEPEST = 3;
const LONGEST_SERVER_TEXT = 600;

/** Reads a tool's JSON; what is missing or of another type counts as empty. */
export function readTool(tool: unknown): ToolText {
  if (!isObject(tool)) return { title: "", description: "", parameters: [] };
  return {
    title: titleOf(tool),
    description: asText(tool.description).slice(0, LONGEST_DESCRIPTION),
    parameters: parametersOf(tool.inputSchema),
  };
}

/** The title of a tool; its first place was among the annotations. */
export function titleOf({ title, annotations }: JsonObject): string {
  return asText(title) || (isObject(annotations) ? asText(annotations.title) : "");
}

/** The text of a server: what it calls itself in `serverInfo`, and its instructions. */
export function serverText(
  name: string,
  { serverInfo, instructions, alias }: {
    /** JSON text. */
    readonly serverInfo: string;
    readonly instructions: string | undefined;
    readonly alias?: string | undefined;
  },
): ServerText {
  const info: unknown = JSON.parse(serverInfo);
  const { name: own, title, description } = isObject(info) ? info : {};
  return {
    name,
    title: [alias ?? "", asText(title), asText(own)].join(" ").trim(),
    description: `${asText(description)} ${instructions ?? ""}`.trim().slice(
      0,
      LONGEST_SERVER_TEXT,
    ),
  };
}

function parametersOf(schema: Json | undefined): ToolParameter[] {
  const found: ToolParameter[] = [];
  const visit = (at: Json | undefined, depth: number): void => {
    if (!isObject(at) || depth > DEEPEST) return;
    const properties = isObject(at.properties) ? at.properties : {};
    for (const [name, property] of Object.entries(properties)) {
      if (found.length >= MOST_PARAMETERS) return;
      if (!isObject(property)) continue;
      found.push({
        name,
        description: asText(property.description).slice(0, LONGEST_PARAMETER),
        values: valuesOf(property),
      });
      visit(property, depth + 1);
      visit(property.items, depth + 1);
    }
  };
  visit(schema, 0);
  return found;
}

function valuesOf({ enum: values, items }: JsonObject): string[] {
  const listed = Array.isArray(values) ? values : isObject(items) ? items.enum : undefined;
  if (!Array.isArray(listed)) return [];
  return listed.filter((value) => typeof value === "string").slice(0, MOST_VALUES);
}

/** The value where it is text, else none. */
export function asText(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}
