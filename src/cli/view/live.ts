/** What a person sees while the servers start: from state to lines, and onto the screen. Loaded where somebody looks. */

import type { Io, TextOutput } from "../../app/io.ts";
import { firstLine, fit, printable, widthOf } from "../../lib/text.ts";
import type { Output } from "../../log/output.ts";
import { VERSION } from "../../lib/version.ts";
import { LIST_RULES, type ListKind } from "../../protocol/lists.ts";
import { type LiveServer, liveServers, type Started } from "../announce.ts";
import { renderSnippets } from "../urls.ts";
import { firstByRank, type Style, styleFor } from "./table.ts";

/** How lines are made. */
export interface LiveOptions {
  /** Cells a line may take; `Infinity` cuts nothing. */
  readonly columns: number;
  /** Lines there is room for. */
  readonly rows: number;
  readonly style: Style;
  /** Counts the redraws; turns the spinner. */
  readonly frame: number;
}

/** What somebody looks for first. */
const RANK = { failed: 0, connecting: 1, ready: 2, idle: 3, disabled: 4 };
const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/**
 * A line for each server, fitted to the terminal. Where they are too many, those that are ready go
 * first: what is still starting or has failed is what somebody looks for.
 */
export function renderServers(
  servers: readonly LiveServer[],
  { columns, rows, style, frame }: LiveOptions,
): string[] {
  const room = Math.max(1, rows);
  const crowded = servers.length > room;
  const shown = crowded ? firstByRank(servers, room - 1, ({ phase }) => RANK[phase]) : servers;
  const width = Math.min(28, Math.max(0, ...shown.map(({ name }) => widthOf(printable(name)))));
  const lines = shown.map((server) => serverLine(server, { columns, width, style, frame }));
  if (!crowded) return lines;
  const left = servers.filter((server) => !shown.includes(server));
  const ready = left.filter(({ phase }) => phase === "ready").length;
  return [...lines, fit(`  … and ${left.length} more, ${ready} of them ready`, columns)];
}

function serverLine(
  server: LiveServer,
  { columns, width, style, frame }: Omit<LiveOptions, "rows"> & { readonly width: number },
): string {
  const name = fit(printable(server.name), width);
  const pad = " ".repeat(Math.max(0, width - widthOf(name)));
  // Sign, name and gaps; one cell stays free, because a full line wraps on some terminals.
  const room = columns - width - 7;
  const line = (sign: string, text: string, paint: (text: string) => string) =>
    `  ${sign} ${style.name(name)}${pad}  ${paint(fit(text, room))}`;
  switch (server.phase) {
    case "connecting": {
      const seconds = Math.floor(server.ms / 1_000);
      const waited = seconds < 1 ? "" : ` ${seconds} s`;
      const sign = style.warn(SPINNER[frame % SPINNER.length] ?? "");
      return line(sign, `connecting${waited}`, style.dim);
    }
    case "ready": {
      const counts = countsText(server.counts);
      return line(style.good("✓"), `ready in ${server.ms} ms  ${counts}`, (text) => text);
    }
    case "idle":
      return line(style.dim("-"), `idle  ${countsText(server.counts)}`, style.dim);
    case "failed":
      return line(style.bad("✗"), `failed: ${firstLine(server.error ?? "")}`, style.bad);
    case "disabled":
      return line(style.dim("-"), "disabled", style.dim);
  }
}

/** `tools 9  resources 1`; kinds without items are left out. */
export function countsText(counts: Readonly<Record<ListKind, number>>): string {
  const parts = LIST_RULES.filter(({ kind }) => counts[kind] > 0)
    .map(({ kind }) => `${kind} ${counts[kind]}`);
  return parts.length === 0 ? "offers nothing" : parts.join("  ");
}

/** Draws the lines of one frame into the room there is. */
type Draw = (frame: number, size: Pick<LiveOptions, "columns" | "rows">) => readonly string[];

/**
 * The last lines of a terminal, redrawn in place. Everything else that is written to the terminal
 * meanwhile must come through {@link LiveScreen.above} or {@link LiveScreen.guard}.
 */
export class LiveScreen {
  #frame = 0;
  #drawn = 0;
  #active = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param every milliseconds between two redraws */
  constructor(
    private readonly output: TextOutput,
    private readonly draw: Draw,
    private readonly every: number = 120,
  ) {}

  /** Draws now and then every few frames. */
  start(): void {
    if (this.#active) return;
    this.#active = true;
    this.#write(this.#redraw());
    this.#timer = setInterval(() => {
      this.#frame++;
      this.#write(this.#redraw());
    }, this.every);
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
    if (!this.#active) return this.output.write(whole);
    return this.output.write(this.#erase() + whole + this.#redraw());
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
    const { columns, rows } = this.output;
    const lines = this.draw(this.#frame, { columns, rows: rows - 1 });
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
    this.output.write(text).catch(() => {});
  }
}

/**
 * The whole view: servers, then the URL, then what to paste. Where the terminal is too small for
 * all of it the snippets go first; with `rows` and `columns` infinite nothing is left out.
 */
export function renderStart(
  url: string | undefined,
  servers: readonly LiveServer[],
  { columns, rows, style, frame }: LiveOptions,
): string[] {
  const address = url === undefined ? [] : ["", `  ${style.bold("Listening on")} ${url}`];
  const snippets = url === undefined ? [] : ["", ...renderSnippets(url, style)];
  // Only the final view may wrap: redrawing counts lines. Painted text is not cut, so it has to go.
  const fits = columns === Infinity ||
    renderWidth(snippets) < columns && servers.length + address.length + snippets.length + 1 < rows;
  const tail = fits ? [...address, ...snippets] : address;
  const head = fit(`mcproxy ${VERSION}`, columns);
  const room = Math.max(1, rows - tail.length - 1);
  return [
    style.dim(head),
    ...renderServers(servers, { columns, rows: room, style, frame }),
    ...tail,
  ];
}

function renderWidth(lines: readonly string[]): number {
  // deno-lint-ignore no-control-regex
  return Math.max(0, ...lines.map((line) => line.replace(/\x1b\[\d+m/g, "").length));
}

/** The live view of a start that will be given by {@link LiveStart.begin}. */
export class LiveStart {
  readonly screen: LiveScreen;
  readonly #style: Style;
  #started: Started | undefined;

  constructor(output: TextOutput, env: Io["env"]) {
    this.#style = styleFor({ isTerminal: true, env });
    this.screen = new LiveScreen(output, (frame, size) => this.#lines({ ...size, frame }));
  }

  /** Draws until every server has settled, then leaves the complete view behind. */
  async begin(started: Started): Promise<void> {
    this.#started = started;
    this.screen.start();
    await started.gateway.settled();
    this.end();
  }

  /** Leaves the view as it is now; does nothing when that has been done. */
  end(): void {
    this.screen.clear(this.#lines({ columns: Infinity, rows: Infinity, frame: 0 }));
  }

  #lines(options: Omit<LiveOptions, "style">): string[] {
    if (this.#started === undefined) return [];
    const { url, gateway } = this.#started;
    return renderStart(url, liveServers(gateway), { ...options, style: this.#style });
  }
}
