/**
 * YAML 1.2 to a {@link ConfigDocument}, with anchors, aliases and merge keys (`<<`). Loaded only
 * where there is a YAML file: the parser costs a start some 25 ms.
 */

import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLError,
} from "yaml";
import {
  arrayNode,
  type DocumentResult,
  lineIndex,
  locatedDocument,
  type LocatedEntry,
  type LocatedNode,
  MAX_DEPTH,
  NOTHING_FOUND,
  objectNode,
  type Position,
  saidTwice,
  TOO_DEEP,
} from "./document.ts";
import { type ConfigPath, issueAt } from "./issue.ts";

/** The parser takes about a second for this much, during which nothing else is done. */
const MAX_YAML_LENGTH = 1024 * 1024;

/** What aliases may multiply a file to; a person's file has a few hundred values. */
const MAX_VALUES = 100_000;

/**
 * Parses the text of a file named `file`. Never throws: whatever is wrong is an issue, the first
 * one alone, since those after it mostly follow from it. A byte order mark is skipped.
 */
export function parseYaml(input: string, file: string): DocumentResult {
  const text = input.startsWith("\uFEFF") ? input.slice(1) : input;
  const locate = lineIndex(text);
  const fail = (
    offset: number,
    [message, remedy]: YamlMessage,
    path: ConfigPath = [],
  ): DocumentResult => ({
    ok: false,
    issues: [issueAt({ file, ...locate(offset) }, path, message, remedy)],
  });
  if (text.length > MAX_YAML_LENGTH) {
    return fail(0, [
      `found ${text.length} characters of YAML, expected at most ${MAX_YAML_LENGTH}`,
      "check that this is the right file; JSON may be longer",
    ]);
  }
  const nul = text.indexOf("\0");
  if (nul !== -1) return fail(nul, ["found a NUL character, expected text"]);
  try {
    const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false });
    const first = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0])[0];
    if (first !== undefined) return fail(first.pos[0], explainYaml(first, text));
    if (document.contents === null || isBlank(document.contents, text)) {
      return fail(0, [NOTHING_FOUND, 'write at least "mcpServers: {}"']);
    }
    const root = new Converter(locate).convert(document.contents, []);
    return { ok: true, document: locatedDocument(file, root, locate) };
  } catch (error) {
    if (error instanceof Refused) return fail(error.offset, error.said, error.path);
    // The parser recurses; whatever else it throws is about the text, too.
    return fail(0, ["found YAML that cannot be read, expected less nesting"]);
  }
}

/** An empty document is a null without any text. */
function isBlank(node: Node, text: string): boolean {
  if (!isScalar(node) || node.value !== null) return false;
  const [start = 0, end = 0] = node.range ?? [];
  return text.slice(start, end).trim() === "";
}

class Refused extends Error {
  constructor(readonly offset: number, readonly path: ConfigPath, readonly said: YamlMessage) {
    super();
  }
}

interface SizedNode extends LocatedNode {
  /** How many values it holds with every alias written out. */
  readonly size: number;
}

/** Nodes of the parser to located ones. Text order: an alias names the anchor before it. */
class Converter {
  /** What an anchor names; null while it is still being read. */
  readonly #anchors = new Map<string, SizedNode | null>();

  constructor(private readonly locate: (offset: number) => Position) {}

  convert(node: Node | null, path: ConfigPath, fallback = 0): SizedNode {
    const offset = node?.range?.[0] ?? fallback;
    if (path.length > MAX_DEPTH) throw new Refused(offset, [], [TOO_DEEP]);
    if (node === null) return { value: null, offset, size: 1 };
    if (isAlias(node)) return this.#alias(node, path);
    const anchor = "anchor" in node ? node.anchor : undefined;
    if (anchor !== undefined) this.#anchors.set(anchor, null);
    const converted = this.#collection(node, path, offset);
    if (converted.size > MAX_VALUES) {
      throw new Refused(offset, path, [
        `found aliases that make more than ${MAX_VALUES} values of it, expected fewer`,
        "write the values out, or use fewer aliases",
      ]);
    }
    if (anchor !== undefined) this.#anchors.set(anchor, converted);
    return converted;
  }

  #collection(node: Node, path: ConfigPath, offset: number): SizedNode {
    if (isMap(node)) return this.#map(node.items as Pair<Node, Node | null>[], path, offset);
    if (isSeq(node)) {
      const items = node.items.map((item, index) =>
        this.convert(item as Node | null, [...path, index], offset)
      );
      return { ...arrayNode(offset, items), size: items.reduce((sum, item) => sum + item.size, 1) };
    }
    const { value } = node as Scalar;
    return { value: typeof value === "bigint" ? Number(value) : value, offset, size: 1 };
  }

  #map(pairs: readonly Pair<Node, Node | null>[], path: ConfigPath, offset: number): SizedNode {
    const own = new Map<string, LocatedEntry>();
    const merged = new Map<string, LocatedEntry>();
    let size = 1;
    for (const { key, value } of pairs) {
      const keyOffset = key.range?.[0] ?? offset;
      if (isMergeKey(key)) {
        const source = this.convert(value, [...path, "<<"], keyOffset);
        size += source.size;
        for (const [name, entry] of this.#merge(source, path, keyOffset)) {
          if (!merged.has(name)) merged.set(name, entry);
        }
        continue;
      }
      const name = this.#key(key, path, keyOffset);
      const here = [...path, name];
      const before = own.get(name);
      if (before !== undefined) {
        const { line } = this.locate(before.keyOffset);
        throw new Refused(keyOffset, here, saidTwice(name, line));
      }
      const node = this.convert(value, here, keyOffset);
      size += node.size;
      own.set(name, { keyOffset, node });
    }
    // What is written here comes before what is merged in, wherever the merge key stands.
    return { ...objectNode(offset, new Map([...merged, ...own])), size };
  }

  /** The entries a merge key brings; of several objects the first has the say. */
  #merge(
    source: LocatedNode,
    path: ConfigPath,
    offset: number,
  ): (readonly [string, LocatedEntry])[] {
    if (source.entries !== undefined) return [...source.entries];
    const objects = source.items?.map((item) => item.entries) ?? [undefined];
    return objects.flatMap((entries) => {
      if (entries !== undefined) return [...entries];
      throw new Refused(offset, [...path, "<<"], [
        'found "<<" with something else, expected an object or a list of objects after it',
        'write an alias, such as "<<: *base"; in quotes "<<" is a key like others',
      ]);
    });
  }

  #key(key: Node, path: ConfigPath, offset: number): string {
    const node = isAlias(key) ? this.#alias(key, path) : this.convert(key, path, offset);
    const isText = isScalar(key) && typeof key.source === "string" && key.source !== "";
    if (isText) return String(key.type === "PLAIN" ? key.source : key.value);
    if (typeof node.value === "object") {
      throw new Refused(offset, path, [
        "found a key that is no text, expected a name before the colon",
      ]);
    }
    return String(node.value);
  }

  #alias({ source, range }: Alias, path: ConfigPath): SizedNode {
    const offset = range?.[0] ?? 0;
    const target = this.#anchors.get(source);
    if (target === null) {
      throw new Refused(offset, path, ["found an alias inside of what it names"]);
    }
    if (target === undefined) {
      throw new Refused(offset, path, [
        "found an alias without an anchor of that name before it",
        'put text that begins with "*" in quotes',
      ]);
    }
    return target;
  }
}

function isMergeKey(key: Node): boolean {
  return isScalar(key) && key.type === "PLAIN" && key.source === "<<";
}

/** What is said about one mistake. */
type YamlMessage = readonly [message: string, remedy?: string];

const END = "the end of the file";
const QUOTES = "put text with special characters in quotes";

/**
 * What is wrong with the text, in our words: the parser's repeat pieces of the file, which may be
 * secrets.
 */
function explainYaml({ code, pos: [offset] }: YAMLError, text: string): YamlMessage {
  const found = foundAt(text, offset);
  if (found === END && (code === "BAD_INDENT" || code === "MISSING_CHAR")) {
    return [`found ${END}, expected a closing bracket or quote`];
  }
  return messagesFor(found)[code] ??
    [`found ${found}, expected a key or a value of its own`, QUOTES];
}

function messagesFor(found: string): Readonly<Record<string, YamlMessage>> {
  const properties = [
    `found ${found}, expected at most one anchor or tag before a value`,
    QUOTES,
  ] as const;
  const tag = [
    "found a tag that fits no value here, expected plain text",
    'put text that begins with "!" in quotes',
  ] as const;
  return {
    TAB_AS_INDENT: ["found a tab as indentation, expected spaces", "replace tabs by spaces"],
    BAD_INDENT: [
      `found ${found} in a column that does not fit, expected the column of the lines ` +
      "it belongs to, or a closing bracket before it",
    ],
    MISSING_CHAR: [
      `found ${found}, expected a colon, a comma or a closing quote before it`,
      QUOTES,
    ],
    BAD_DQ_ESCAPE: [
      "found an invalid escape in double quotes",
      'write a backslash as "\\\\", or use single quotes',
    ],
    BAD_SCALAR_START: [`found ${found}, which no plain text starts with`, QUOTES],
    BLOCK_AS_IMPLICIT_KEY: [
      "found a second key in a value, expected one key to a line",
      'put text with ": " in quotes, and nested keys in a line of their own',
    ],
    MULTILINE_IMPLICIT_KEY: [
      "found a key over several lines, expected a colon after the first word",
    ],
    KEY_OVER_1024_CHARS: ["found a key of more than 1024 characters, expected a shorter one"],
    BLOCK_IN_FLOW: [`found ${found} inside of brackets, expected a flow value`],
    MULTIPLE_DOCS: [
      "found a second document, expected one",
      'remove the line "---" and what follows it',
    ],
    MULTIPLE_ANCHORS: properties,
    MULTIPLE_TAGS: properties,
    ALIAS_PROPS: properties,
    BAD_ALIAS: properties,
    BAD_PROP_ORDER: properties,
    TAG_RESOLVE_FAILED: tag,
    BAD_COLLECTION_TYPE: tag,
    BAD_DIRECTIVE: ["found an unknown directive after %, expected a configuration"],
    RESOURCE_EXHAUSTION: ["found more nested levels than can be read, expected fewer"],
  };
}

function foundAt(text: string, offset: number): string {
  const character = text.slice(offset).trimStart()[0];
  if (character === undefined) return END;
  if (/[{}[\]:,&*!|>@`%#?-]/.test(character)) return JSON.stringify(character);
  return /["']/.test(character) ? "a quote" : "text";
}
