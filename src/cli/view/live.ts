/** What a person sees while the servers start: pure functions from state to lines. */

import type { TextOutput } from "../../app/io.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import { firstLine, fit, printable, widthOf } from "../../lib/text.ts";
import type { Output } from "../../log/output.ts";
import { LIST_RULES, type ListKind } from "../../protocol/lists.ts";
import type { UpstreamStatus } from "../../upstream/status.ts";
import { firstByRank, type Style } from "./table.ts";

/** One server as the view shows it. */
export interface LiveServer {
  readonly name: string;
  /** `idle`: it is started at its next use, and what it offers is known. */
  readonly phase: "connecting" | "ready" | "idle" | "failed" | "disabled";
  /** What its start took, or how long it has been starting. Milliseconds. */
  readonly ms: number;
  readonly counts: Readonly<Record<ListKind, number>>;
  /** Why it failed, without its name. */
  readonly error: string | undefined;
}

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

/** What a server that is not there offers. */
export const NO_COUNTS = { tools: 0, prompts: 0, resources: 0, templates: 0 };

/** A server of the running gateway, at the time `now` (milliseconds since the epoch). */
export function liveServer(status: UpstreamStatus, settled: boolean, now: number): LiveServer {
  const { name, state, counts, startedInMs, lastError, since } = status;
  const isStarting = !settled || (state === "connecting" && lastError === undefined);
  const isSteady = state === "ready" || (state === "idle" && settled);
  const phase = isSteady ? state : isStarting ? "connecting" : "failed";
  const waited = Math.max(0, now - Date.parse(since));
  const ms = phase === "ready" ? startedInMs ?? waited : waited;
  const error = phase === "failed" ? withoutName(lastError ?? `is ${state}`, name) : undefined;
  return { name, phase, ms, counts, error };
}

/** Every configured server, disabled ones included, in the order of the configuration. */
export function liveServers(gateway: Gateway, now = Date.now()): LiveServer[] {
  return [...gateway.config.servers.keys()].map((name) => {
    const member = gateway.members.get(name);
    return member === undefined
      ? { name, phase: "disabled", ms: 0, counts: NO_COUNTS, error: undefined }
      : liveServer(member.upstream.status(), member.isSettled, now);
  });
}

/** Errors name their server, and so does the line they are shown on. */
export function withoutName(error: string, name: string): string {
  const start = `Server ${JSON.stringify(name)} `;
  return error.startsWith(start) ? error.slice(start.length) : error;
}

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
