/** Tells whoever started the gateway where it listens and how its servers are. */

import { type Io, say, type TextOutput } from "../app/io.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { fit } from "../lib/text.ts";
import { VERSION } from "../lib/version.ts";
import { renderSnippets } from "./urls.ts";
import {
  type LiveOptions,
  LiveScreen,
  type LiveServer,
  liveServers,
  renderServers,
} from "./view/live.ts";
import { type Style, styleFor } from "./view/table.ts";

/** A gateway that has been started. */
export interface Started {
  readonly gateway: Gateway;
  readonly url: string | undefined;
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

/** One line about all servers, for `systemctl status` and the log. */
export function summaryText(servers: readonly LiveServer[]): string {
  const wanted = servers.filter(({ phase }) => phase !== "disabled");
  const count = (phase: LiveServer["phase"]) => wanted.filter((one) => one.phase === phase).length;
  const tools = wanted.reduce((sum, { counts }) => sum + counts.tools, 0);
  const parts = [`${count("ready")} of ${wanted.length} servers ready`, `${tools} tools`];
  for (const phase of ["connecting", "idle", "failed"] as const) {
    if (count(phase) > 0) parts.push(`${count(phase)} ${phase}`);
  }
  return parts.join(", ");
}

/** Whether there is a person to draw for. */
export function wantsLiveView(io: Io, logToStdout: boolean): boolean {
  if (!io.stderr.isTerminal || io.env["TERM"] === "dumb") return false;
  // With `--log | tee` the log would come to the same terminal behind our back.
  return !logToStdout || io.stdout.isTerminal;
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

/**
 * Calls back now, and whenever there is news of a server or of the lists. Returns the function that
 * ends it.
 */
export function onProgress({ events }: Gateway, report: () => void): () => void {
  const stops = [events.on("server", report), events.on("lists", report)];
  report();
  return () => {
    for (const stop of stops) stop();
  };
}

/** Writes the start as events, one JSON object per line. */
export async function announceJson({ gateway, url }: Started, output: TextOutput): Promise<void> {
  const emit = (event: object) => say(output, `${JSON.stringify(event)}\n`);
  const { file: config } = gateway.config;
  await emit({ event: "listening", url: url ?? null, version: VERSION, config });
  await Promise.all(gateway.members.all.map(async ({ config: { name }, settled }) => {
    await settled;
    const server = liveServers(gateway).find((one) => one.name === name);
    if (server === undefined) return;
    const { phase: state, ms, counts, error } = server;
    await emit({ event: "server", name, state, ms, counts, error: error ?? null });
  }));
  await emit({ event: "settled" });
}
