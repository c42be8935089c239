/**
 * Reads from the source what the gateway has to say to people: what errors are made of, and what is
 * logged as a warning or worse. A text counts that stands in the arguments of a {@link MAKER}, or
 * is given one of the {@link NAMES} of such a text on its way there, or begins as errors do.
 */

/** A text as it stands in the source; what is put in at run time is "…". */
export interface SourceText {
  readonly place: string;
  readonly text: string;
  /** Whether it is a message by itself, or any text. */
  readonly isMessage: boolean;
}

/** What makes a message of its arguments; stands before their bracket. */
const MAKER = new RegExp(
  "(?:\\bnew (?:\\w*Error|Refusal|ArgumentMistake)|\\b(?:unavailable|protocolFault)|" +
    "\\b[lL]og(?:\\.(?:warn|warning|error|fatal)|\\[[^\\]]*\\]))$",
);

/** What is logged, and no trouble. */
const QUIET = /\b[lL]og\.(?:trace|debug|info)$/;

/** What a message is called before it is one; stands before the text. */
const NAMES = /(?:^|[^\w.])(?:why|reason|message|detail|problem)\s*(?::|=(?![=>]))[^;,{}]*$/;

/** Texts are told from names and codes by having words. */
const HAS_WORDS = /\p{L}{2}\S* | \S*\p{L}{2}/u;

/** All texts with words in a source file. */
export function textsIn(source: string, path: string): readonly SourceText[] {
  return new Reader(source, path).read();
}

class Reader {
  readonly #found: SourceText[] = [];
  /** For each open bracket what stands before it. */
  readonly #brackets: string[] = [];
  #at = 0;
  /** A sum of literals so far. */
  #sum: { text: string; readonly line: number; readonly isMessage: boolean } | undefined;
  /** The code since then, without white space and comments. */
  #since = "";
  /** The end of the code before here, with empty literals. */
  #before = "";

  constructor(readonly source: string, readonly path: string) {}

  read(): readonly SourceText[] {
    while (this.#at < this.source.length) this.#step();
    this.#close();
    // A literal that was read wrongly takes brackets with it.
    if (this.#brackets.length > 0) throw new Error(`Cannot read ${this.path}: a bracket is open`);
    return this.#found;
  }

  #step(): void {
    const char = this.source[this.#at]!;
    if (this.source.startsWith("//", this.#at)) return this.#skipTo("\n");
    if (this.source.startsWith("/*", this.#at)) return this.#skipTo("*/");
    if (char === '"' || char === "'" || char === "`") return this.#literal(char);
    const isRegExp = /(?:[(,=:[!&|?{};>]|\breturn|^)\s*$/.test(this.#before);
    if (char === "/" && isRegExp) return this.#regExp();
    if (/[([{]/.test(char)) this.#brackets.push(char === "(" ? this.#before : "");
    if (/[)\]}]/.test(char)) this.#brackets.pop();
    this.#pass(char);
  }

  /** Code that is no text. */
  #pass(code: string): void {
    this.#at++;
    this.#before = (this.#before + code).slice(-150);
    if (/\s/.test(code)) return;
    this.#since += code;
    if (this.#since !== "+") this.#close();
  }

  #literal(quote: string): void {
    const line = this.source.slice(0, this.#at).split("\n").length;
    const text = this.#text(quote);
    if (this.#sum !== undefined && this.#since === "+") this.#sum.text += text;
    else {
      this.#close();
      const maker = this.#brackets.at(-1) ?? "";
      const isMessage = MAKER.test(maker) || NAMES.test(this.#before) ||
        (text.startsWith("Cannot ") && !QUIET.test(maker));
      this.#sum = { text, line, isMessage };
    }
    this.#since = "";
    this.#before += quote + quote;
  }

  /** Reads a literal to its end. */
  #text(quote: string): string {
    let text = "";
    for (this.#at++; this.source[this.#at] !== quote; this.#at++) {
      const char = this.source[this.#at]!;
      if (char === "\\") text += this.source[++this.#at]!;
      else if (quote === "`" && this.source.startsWith("${", this.#at)) {
        this.#hole();
        text += "…";
      } else text += char;
    }
    this.#at++;
    return text;
  }

  /** Reads what is put into a template, up to its bracket. */
  #hole(): void {
    this.#at += 2;
    for (let depth = 0;; this.#at++) {
      const char = this.source[this.#at]!;
      if (char === '"' || char === "'" || char === "`") {
        this.#text(char);
        this.#at--;
      } else if (char === "{") depth++;
      else if (char === "}" && depth-- === 0) return;
    }
  }

  #regExp(): void {
    let inClass = false;
    for (this.#at++; inClass || this.source[this.#at] !== "/"; this.#at++) {
      const char = this.source[this.#at]!;
      if (char === "\\") this.#at++;
      else if (char === "[") inClass = true;
      else if (char === "]") inClass = false;
    }
    this.#pass("r");
  }

  #skipTo(end: string): void {
    const found = this.source.indexOf(end, this.#at);
    this.#at = found < 0 ? this.source.length : found + end.length;
  }

  #close(): void {
    if (this.#sum !== undefined && HAS_WORDS.test(this.#sum.text)) {
      const { line, isMessage } = this.#sum;
      // What is put into a line of the log is written `{name}`.
      const text = this.#sum.text.replace(/\{\w+\}/g, "…");
      this.#found.push({ place: `${this.path}:${line}`, text, isMessage });
    }
    this.#sum = undefined;
  }
}
