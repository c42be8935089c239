/** Newline framing of stdio (transports: stdio), on bytes, with a bounded buffer. */

import { nextTurn, TURN } from "./time.ts";

/** What a {@link LineDecoder} calls, and when it stops to wait for an end. */
export interface LineDecoderOptions {
  /** One line without its line end; never empty. */
  onLine(line: string): void;
  /** A line grew beyond a limit and is dropped up to its newline. `head` is how it began. */
  onOverlong(head: string): void;
  /** Whether a line that begins so has grown too long with `size` bytes; asked for each part. */
  isTooLong?(head: string, size: number): boolean;
  /** Longest line in bytes. @default 64 MiB */
  readonly limit?: number;
}

const LF = 10;
/** So much of a line is its beginning, in characters. */
const HEAD = 200;
const DEFAULT_LIMIT = 64 * 1024 * 1024;
/** Lines between two looks at the clock. */
const LOOK_EVERY = 16;

/** Cuts a byte stream into lines of text; a character split between two chunks stays whole. */
export class LineDecoder {
  readonly #limit: number;
  /** A decoder that took byte order marks away would do so per chunk; {@link #emit} does per line. */
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  /** What has come of a line, decoded as it comes: of a long one all at once takes long. */
  #begun = "";
  /** Its beginning: to look at what has come would put all of it together each time. */
  #head = "";
  #size = 0;
  #dropping = false;
  /** Lines that wait for another turn of the event loop, and from where on. */
  #left: { readonly text: string; readonly start: number } | undefined;

  constructor(private readonly options: LineDecoderOptions) {
    this.#limit = options.limit ?? DEFAULT_LIMIT;
  }

  /** Takes the next bytes. */
  push(chunk: Uint8Array): void {
    this.#take(chunk, Infinity);
  }

  /**
   * The same, in turns: where the lines of a chunk take long, the rest of them waits. Resolves when
   * they are done, undefined when they are already; nothing should be pushed before.
   */
  pushInTurns(chunk: Uint8Array): Promise<void> | undefined {
    return chunk.length > this.#limit ? this.#takePieces(chunk) : this.#take(chunk, TURN);
  }

  /** Where a line may be too long, each is looked at, which takes long. */
  async #takePieces(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; at += this.#limit) {
      await this.#take(chunk.subarray(at, at + this.#limit), TURN);
    }
  }

  #take(chunk: Uint8Array, turn: number): Promise<void> | undefined {
    this.#finish();
    let rest = chunk;
    if (this.#dropping || this.#size > 0) {
      const end = chunk.indexOf(LF);
      if (end < 0) {
        this.#keep(chunk);
        return undefined;
      }
      this.#keep(chunk.subarray(0, end));
      this.end();
      rest = chunk.subarray(end + 1);
    }
    // Nearly every chunk ends with a line, and a Buffer's own search is slow on Deno.
    const last = rest[rest.length - 1] === LF ? rest.length - 1 : rest.lastIndexOf(LF);
    if (last >= 0) {
      // Many lines in one chunk are decoded in one go; none of them can be over the limit unless
      // the chunk itself is.
      if (last > this.#limit) this.#oneByOne(rest.subarray(0, last));
      else this.#emitAll(this.#decoder.decode(rest.subarray(0, last)), 0, turn);
    }
    if (last + 1 < rest.length) this.#keep(rest.subarray(last + 1));
    return this.#left === undefined ? undefined : this.#goOn(turn);
  }

  async #goOn(turn: number): Promise<void> {
    while (this.#left !== undefined) {
      await nextTurn();
      this.#finish(turn);
    }
  }

  #finish(turn = Infinity): void {
    const left = this.#left;
    if (left === undefined) return;
    this.#left = undefined;
    this.#emitAll(left.text, left.start, turn);
  }

  /** A line has ended; to be called at the end of the stream, whose last line may have no newline. */
  end(): void {
    this.#finish();
    if (this.#dropping) {
      this.#dropping = false;
      return;
    }
    if (this.#size === 0) return;
    this.#emit(this.#reset());
  }

  #keep(part: Uint8Array): void {
    if (this.#dropping || part.length === 0) return;
    const text = this.#decoder.decode(part, { stream: true });
    if (this.#size === 0) this.#head = "";
    if (this.#head.length < HEAD) this.#head = (this.#head + text).slice(0, HEAD);
    this.#begun += text;
    this.#size += part.length;
    if (this.#size > this.#limit || this.options.isTooLong?.(this.#head, this.#size)) {
      this.#dropping = true;
      this.#reset();
      this.options.onOverlong(this.#head);
    }
  }

  /** Returns the line there was. */
  #reset(): string {
    const line = this.#begun + this.#decoder.decode();
    this.#begun = "";
    this.#size = 0;
    return line;
  }

  #oneByOne(block: Uint8Array): void {
    for (let start = 0; start <= block.length;) {
      const at = block.indexOf(LF, start);
      const end = at < 0 ? block.length : at;
      this.#keep(block.subarray(start, end));
      this.end();
      start = end + 1;
    }
  }

  /** `turn` is how long it may take, in ms. */
  #emitAll(text: string, from: number, turn: number): void {
    const until = performance.now() + turn;
    for (let start = from, count = 1; start <= text.length; count++) {
      const at = text.indexOf("\n", start);
      const end = at < 0 ? text.length : at;
      this.#emit(text.slice(start, end));
      start = end + 1;
      if (count % LOOK_EVERY === 0 && performance.now() > until) {
        this.#left = { text, start };
        return;
      }
    }
  }

  #emit(line: string): void {
    const end = line.endsWith("\r") ? -1 : undefined;
    const text = line.slice(line.startsWith("\ufeff") ? 1 : 0, end);
    if (text !== "") this.options.onLine(text);
  }
}
