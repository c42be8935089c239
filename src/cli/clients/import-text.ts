/** Adds to the text of a configuration file, JSON or YAML, and keeps what is there. */

import type { Json } from "../../lib/json.ts";
import { applyEdits, putProperty } from "./json-text.ts";

/** One value to be added. */
export interface Addition {
  readonly path: readonly string[];
  readonly value: unknown;
}

/**
 * The text with the values added, those that are there not being touched. Blank text begins a file.
 * @throws {Error} where something on the way to a value is no object
 */
export async function addTo(
  text: string,
  file: string,
  additions: readonly Addition[],
): Promise<string> {
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : "";
  const body = text.slice(mark.length);
  const added = /\.ya?ml$/i.test(file)
    ? await addToYaml(body, additions)
    : addToJson(body, additions);
  return mark + added;
}

function addToJson(text: string, additions: readonly Addition[]): string {
  return additions.reduce(
    (result, { path, value }) => applyEdits(result, putProperty(result, path, plain(value))),
    text,
  );
}

/** Comments stay where they are; spaces inside a line may become what the library writes. */
async function addToYaml(text: string, additions: readonly Addition[]): Promise<string> {
  const { parseDocument } = await import("yaml");
  const document = parseDocument(text);
  for (const { path, value } of additions) {
    document.setIn(path, document.createNode(plain(value)));
  }
  const indent = /^( +)\S/m.exec(text)?.[1]?.length ?? 2;
  const indentSeq = !/^( *)[^\s#-][^\n]*:[ \t]*\n\1- /m.test(text);
  const result = document.toString({ lineWidth: 0, indent: Math.max(1, indent), indentSeq });
  return text.includes("\r\n") ? result.replaceAll(/\r?\n/g, "\r\n") : result;
}

/** Without what only a parser knows: prototypes, dates. */
function plain(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}
