import type { TextOutput } from "../../app/io.ts";
import type { Output } from "../../log/output.ts";

/** Options of {@link LiveScreen}. */
export interface LiveScreenOptions {
  /** Milliseconds between two redraws. @default 120 */
  readonly every?: number;
}

/** Draws the lines of one frame into the room there is. */
export type Draw = (
  frame: number,
  size: { readonly columns: number; readonly rows: number },
) => readonly string[];

/**
 * The last lines of a terminal, redrawn in place. Everything else that is written to the terminal
 * meanwhile must come through {@link LiveScreen.above} or {@link LiveScreen.guard}.
 */
export class LiveScreen {
  readonly #output: TextOutput;
  readonly #draw: Draw;
  readonly #every: number;
  #frame = 0;
  #drawn = 0;
  #active = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(output: TextOutput, draw: Draw, { every = 120 }: LiveScreenOptions = {}) {
    this.#output = output;
    this.#draw = draw;
    this.#every = every;
  }

  /** Draws now and then every few frames. */
  start(): void {
    if (this.#active) return;
    this.#active = true;
    this.#write(this.#redraw());
    this.#timer = setInterval(() => {
      this.#frame++;
      this.#write(this.#redraw());
    }, this.#every);
  }

  /** Draws now, for there is something new; does nothing before the start and after the end. */
  refresh(): void {
    if (this.#active) this.#write(this.#redraw());
  }

  /** Takes the lines away for good; `last` is left in their place. */
  clear(last: readonly string[] = []): void {
    if (!this.#active) return;
    this.#active = false;
    clearInterval(this.#timer);
    this.#write(this.#erase() + last.map((line) => `${line}\n`).join(""));
  }

  /** Writes whole lines above the drawn ones, so that neither tears the other. */
  above(text: string): Promise<void> {
    const whole = text.endsWith("\n") ? text : `${text}\n`;
    if (!this.#active) return this.#output.write(whole);
    return this.#output.write(this.#erase() + whole + this.#redraw());
  }

  /** The same output, whose texts appear above the drawn lines while there are any. */
  guard(output: Output): Output {
    if (!output.isTerminal) return output;
    return {
      isTerminal: output.isTerminal,
      identity: output.identity,
      write: (text) => this.#active ? this.above(text) : output.write(text),
    };
  }

  #redraw(): string {
    const { columns, rows } = this.#output;
    const lines = this.#draw(this.#frame, { columns, rows: rows - 1 });
    const text = this.#erase() + lines.map((line) => `${line}\n`).join("");
    this.#drawn = lines.length;
    return text;
  }

  #erase(): string {
    const up = this.#drawn === 0 ? "" : `\x1b[${this.#drawn}A\r\x1b[0J`;
    this.#drawn = 0;
    return up;
  }

  #write(text: string): void {
    // A terminal that has gone is found out by whoever writes something that matters.
    this.#output.write(text).catch(() => {});
  }
}
