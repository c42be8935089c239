/** The tokens of JSON with comments. */

/** Why a text is no JSON, and where. Thrown within the folder's JSON reader, and caught there. */
export class SyntaxFault extends Error {
  /** In UTF-16 units from the start of the text. */
  readonly offset: number;
  readonly remedy: string | undefined;

  constructor(offset: number, message: string, remedy?: string) {
    super(message);
    this.offset = offset;
    this.remedy = remedy;
  }
}

/** What a token is; `literal` is true, false or null. */
export type TokenKind = "{" | "}" | "[" | "]" | ":" | "," | "string" | "number" | "literal" | "end";

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const BLANK = /[ \t\r\n]*/y;
const LINE = /[^\r\n]*/y;
/** Up to where two words would be two tokens; never empty where it is asked. */
const WORD = /[^ \t\r\n{}[\]":,/]*/y;
const HEX = /[0-9A-Fa-f]{4}/y;

/** Reads one token after the other; white space and comments are passed over. */
export class Tokens {
  readonly text: string;
  /** Of the current token; `end` at the end of the text. */
  kind: TokenKind = "end";
  /** Where the current token begins. */
  start = 0;
  /** Where the current token ends. */
  end = 0;
  #hasEscapes = false;

  constructor(text: string) {
    this.text = text;
  }

  /** Moves on by one token. @throws {SyntaxFault} where none can be read */
  next(): TokenKind {
    this.#skipTrivia();
    const at = this.end;
    this.start = at;
    const character = this.text[at];
    switch (character) {
      case undefined:
        return this.kind = "end";
      case "{":
      case "}":
      case "[":
      case "]":
      case ":":
      case ",":
        this.end = at + 1;
        return this.kind = character;
      case '"':
        this.#readString();
        return this.kind = "string";
      default:
        return this.kind = this.#readNumber() ? "number" : this.#readWord();
    }
  }

  /** The value of the current token, which is a string, a number or a literal. */
  value(): unknown {
    // Text that has been checked, so that JSON.parse cannot throw; most strings need no decoding.
    if (this.kind === "string" && !this.#hasEscapes) {
      return this.text.slice(this.start + 1, this.end - 1);
    }
    return JSON.parse(this.text.slice(this.start, this.end));
  }

  /** What stands where the current token begins, in words that repeat nothing of the file. */
  found(): string {
    const code = this.text.codePointAt(this.start);
    if (code === undefined) return "the end of the file";
    const character = String.fromCodePoint(code);
    if (/[{}[\]:,]/.test(character)) return `"${character}"`;
    if (character === '"') return "a string";
    // An unquoted word may be somebody's token.
    return /[\p{L}\p{N}_$'-]/u.test(character)
      ? "a word without double quotes"
      : "a stray character";
  }

  #skipTrivia(): void {
    for (;;) {
      this.end = this.#match(BLANK, this.end);
      if (this.text.startsWith("//", this.end)) {
        this.end = this.#match(LINE, this.end);
      } else if (this.text.startsWith("/*", this.end)) {
        const close = this.text.indexOf("*/", this.end + 2);
        if (close < 0) {
          throw new SyntaxFault(this.end, 'found a comment that does not end, expected "*/"');
        }
        this.end = close + 2;
      } else return;
    }
  }

  #readString(): void {
    const { text, start } = this;
    this.#hasEscapes = false;
    for (let at = start + 1;; at++) {
      const character = text[at];
      if (character === '"') {
        this.end = at + 1;
        return;
      }
      if (character === undefined || character === "\n" || character === "\r") {
        throw new SyntaxFault(
          start,
          "found a string that does not end in its line, expected a closing quote",
        );
      }
      if (character < " ") {
        throw new SyntaxFault(
          start,
          "found a control character in a string",
          'write a tab as "\\t" and a line break as "\\n"',
        );
      }
      if (character !== "\\") continue;
      this.#hasEscapes = true;
      at = this.#readEscape(at + 1);
    }
  }

  /** Returns the index of the last character of the escape. */
  #readEscape(at: number): number {
    const { text, start } = this;
    if (text[at] === "u") {
      const end = this.#match(HEX, at + 1);
      if (end > at + 1) return end - 1;
      throw new SyntaxFault(
        start,
        'found an invalid "\\u" escape, expected four hexadecimal digits',
      );
    }
    if (text[at] !== undefined && '"\\/bfnrt'.includes(text[at]!)) return at;
    throw new SyntaxFault(
      start,
      "found an invalid escape in a string",
      'write a backslash as "\\\\"',
    );
  }

  #readNumber(): boolean {
    const { text, start } = this;
    const end = this.#match(NUMBER, start);
    if (end === start) return false;
    const hasExponent = /[eE]/.test(text.slice(start, end));
    const hasFraction = hasExponent || text.slice(start, end).includes(".");
    const follows = text[end] ?? "";
    if ((follows === "." && !hasFraction) || (/[eE]/.test(follows) && !hasExponent)) {
      throw new SyntaxFault(start, "found a malformed number, expected digits");
    }
    this.end = end;
    return true;
  }

  #readWord(): "literal" {
    const end = this.#match(WORD, this.start);
    const word = this.text.slice(this.start, end);
    if (word === "true" || word === "false" || word === "null") {
      this.end = end;
      return "literal";
    }
    throw new SyntaxFault(
      this.start,
      `found ${this.found()}, expected double quotes around keys and text (only numbers, true, ` +
        "false and null have none)",
    );
  }

  /** Where the match at `at` of a sticky pattern ends; `at` itself without one. */
  #match(pattern: RegExp, at: number): number {
    pattern.lastIndex = at;
    return pattern.test(this.text) ? pattern.lastIndex : at;
  }
}
