/** Tells whoever started the gateway where it listens and how its servers are. */

import { type Io, say, type TextOutput } from "../app/io.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { VERSION } from "../lib/version.ts";
import type { ListKind } from "../protocol/lists.ts";
import type { UpstreamStatus } from "../upstream/status.ts";

/** A gateway that has been started. */
export interface Started {
  readonly gateway: Gateway;
  readonly url: string | undefined;
}

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
