/** Reads JSON with comments and trailing commas (as VS Code does) into values and their places. */

import { SyntaxFault, Tokens } from "./json-tokens.ts";
import type { ConfigPath } from "./issue.ts";

/** A value of the file. */
export interface JsonNode {
  /** Objects have no prototype, so that any key is just a key. */
  readonly value: unknown;
  /** Where the value begins. */
  readonly offset: number;
  /** Where its key begins; `offset` where it has none. */
  readonly keyOffset: number;
  /** Of an object, in the order of the file. */
  readonly members?: ReadonlyMap<string, JsonNode>;
  /** Of an array. */
  readonly items?: readonly JsonNode[];
}

/** A key that its object has already. */
export interface DuplicateKey {
  readonly path: ConfigPath;
  readonly offset: number;
  /** Where the key stands first. */
  readonly firstOffset: number;
}

/** What {@link readJson} has read; where there are duplicates, the first of each is in the tree. */
export interface JsonTree {
  /** Undefined for a text without any token. */
  readonly root: JsonNode | undefined;
  readonly duplicates: readonly DuplicateKey[];
}

/** Limits of {@link readJson}. */
export interface ReadJsonOptions {
  /** Deeper nesting is a fault. The reader recurses, so this is what bounds its stack. */
  readonly maxDepth: number;
  /** Further duplicates are not reported. */
  readonly maxDuplicates: number;
}

/** Reads the whole text. @throws {SyntaxFault} at the first place that is not as it should be */
export function readJson(text: string, options: ReadJsonOptions): JsonTree {
  const reader = new Reader(text, options);
  return { root: reader.readRoot(), duplicates: reader.duplicates };
}

class Reader {
  readonly duplicates: DuplicateKey[] = [];
  readonly #tokens: Tokens;
  readonly #options: ReadJsonOptions;
  /** Keys and indexes of the open objects and arrays. */
  readonly #path: (string | number)[] = [];

  constructor(text: string, options: ReadJsonOptions) {
    this.#tokens = new Tokens(text);
    this.#options = options;
  }

  readRoot(): JsonNode | undefined {
    if (this.#tokens.next() === "end") return undefined;
    const root = this.#readValue();
    if (this.#tokens.kind !== "end") {
      throw new SyntaxFault(
        this.#tokens.start,
        `found ${this.#tokens.found()} after the end of the configuration, expected nothing`,
        "remove what follows the last closing brace",
      );
    }
    return root;
  }

  /** The value that begins with the current token; the one behind it is current then. */
  #readValue(keyOffset = this.#tokens.start): JsonNode {
    const tokens = this.#tokens;
    const offset = tokens.start;
    switch (tokens.kind) {
      case "{":
        return this.#readObject(offset, keyOffset);
      case "[":
        return this.#readArray(offset, keyOffset);
      case "string":
      case "number":
      case "literal": {
        const value = tokens.value();
        tokens.next();
        return { value, offset, keyOffset };
      }
      default:
        this.#fail("a value");
    }
  }

  #readObject(offset: number, keyOffset: number): JsonNode {
    const tokens = this.#tokens;
    const value: Record<string, unknown> = Object.create(null);
    const members = new Map<string, JsonNode>();
    this.#open();
    while (tokens.kind !== "}") {
      if (tokens.kind !== "string") this.#fail('a key in double quotes or "}"');
      const key = tokens.value() as string;
      const keyStart = tokens.start;
      this.#path.push(key);
      const first = members.get(key);
      if (first !== undefined) this.#report(keyStart, first.keyOffset);
      if (tokens.next() !== ":") this.#fail('":" after the key');
      tokens.next();
      const member = this.#readValue(keyStart);
      if (first === undefined) {
        members.set(key, member);
        value[key] = member.value;
      }
      this.#path.pop();
      this.#readComma("}");
    }
    tokens.next();
    return { value, offset, keyOffset, members };
  }

  #readArray(offset: number, keyOffset: number): JsonNode {
    const tokens = this.#tokens;
    const items: JsonNode[] = [];
    this.#open();
    while (tokens.kind !== "]") {
      this.#path.push(items.length);
      items.push(this.#readValue());
      this.#path.pop();
      this.#readComma("]");
    }
    tokens.next();
    return { value: items.map((item) => item.value), offset, keyOffset, items };
  }

  /** Passes over an opening bracket. */
  #open(): void {
    const { maxDepth } = this.#options;
    // The path has a step for each open bracket but this one.
    if (this.#path.length >= maxDepth) {
      throw new SyntaxFault(
        this.#tokens.start,
        `found more than ${maxDepth} nested levels, expected fewer`,
      );
    }
    this.#tokens.next();
  }

  /** After a member or item: passes over the comma, which the last one may have too. */
  #readComma(close: "}" | "]"): void {
    const { kind } = this.#tokens;
    if (kind === ",") this.#tokens.next();
    else if (kind === close) return;
    else if (kind === "end") this.#fail(`"${close}"`);
    // A bracket of the other kind: what is missing is the end of the list or object.
    else if (kind === "}" || kind === "]") this.#fail(`"," or "${close}"`);
    else this.#fail('","');
  }

  #report(offset: number, firstOffset: number): void {
    if (this.duplicates.length >= this.#options.maxDuplicates) return;
    this.duplicates.push({ path: [...this.#path], offset, firstOffset });
  }

  #fail(expected: string): never {
    throw new SyntaxFault(
      this.#tokens.start,
      `found ${this.#tokens.found()}, expected ${expected}`,
    );
  }
}
