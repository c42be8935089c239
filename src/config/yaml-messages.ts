/** What is wrong with YAML text, in our words: the parser's repeat pieces of the file. */

import type { YAMLError } from "yaml";

/** What is said about one mistake. */
export interface YamlMessage {
  readonly message: string;
  readonly remedy?: string | undefined;
}

const END = "the end of the file";
const QUOTES = "put text with special characters in quotes";

/** The message for an error of the parser. Words of the file may be secrets: none is repeated. */
export function explainYaml({ code, pos: [offset] }: YAMLError, text: string): YamlMessage {
  const found = foundAt(text, offset);
  if (found === END && (code === "BAD_INDENT" || code === "MISSING_CHAR")) {
    return { message: `found ${END}, expected a closing bracket or quote` };
  }
  switch (code) {
    case "TAB_AS_INDENT":
      return {
        message: "found a tab as indentation, expected spaces",
        remedy: "replace tabs by spaces",
      };
    case "BAD_INDENT":
      return {
        message: `found ${found} in a column that does not fit, expected the column of the lines ` +
          "it belongs to, or a closing bracket before it",
      };
    case "MISSING_CHAR":
      return {
        message: `found ${found}, expected a colon, a comma or a closing quote before it`,
        remedy: QUOTES,
      };
    case "BAD_DQ_ESCAPE":
      return {
        message: "found an invalid escape in double quotes",
        remedy: 'write a backslash as "\\\\", or use single quotes',
      };
    case "BAD_SCALAR_START":
      return { message: `found ${found}, which no plain text starts with`, remedy: QUOTES };
    case "BLOCK_AS_IMPLICIT_KEY":
      return {
        message: "found a second key in a value, expected one key to a line",
        remedy: 'put text with ": " in quotes, and nested keys in a line of their own',
      };
    case "MULTILINE_IMPLICIT_KEY":
      return {
        message: "found a key over several lines, expected a colon after the first word",
      };
    case "KEY_OVER_1024_CHARS":
      return { message: "found a key of more than 1024 characters, expected a shorter one" };
    case "BLOCK_IN_FLOW":
      return { message: `found ${found} inside of brackets, expected a flow value` };
    case "MULTIPLE_DOCS":
      return {
        message: "found a second document, expected one",
        remedy: 'remove the line "---" and what follows it',
      };
    case "MULTIPLE_ANCHORS":
    case "MULTIPLE_TAGS":
    case "ALIAS_PROPS":
    case "BAD_ALIAS":
    case "BAD_PROP_ORDER":
      return {
        message: `found ${found}, expected at most one anchor or tag before a value`,
        remedy: QUOTES,
      };
    case "TAG_RESOLVE_FAILED":
    case "BAD_COLLECTION_TYPE":
      return {
        message: "found a tag that fits no value here, expected plain text",
        remedy: 'put text that begins with "!" in quotes',
      };
    case "BAD_DIRECTIVE":
      return { message: "found an unknown directive after %, expected a configuration" };
    case "RESOURCE_EXHAUSTION":
      return { message: "found more nested levels than can be read, expected fewer" };
    default:
      return { message: `found ${found}, expected a key or a value of its own`, remedy: QUOTES };
  }
}

function foundAt(text: string, offset: number): string {
  const character = text.slice(offset).trimStart()[0];
  if (character === undefined) return END;
  if (/[{}[\]:,&*!|>@`%#?-]/.test(character)) return JSON.stringify(character);
  return /["']/.test(character) ? "a quote" : "text";
}
