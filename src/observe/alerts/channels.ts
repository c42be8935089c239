/** Where alerts are told: a webhook, a topic of ntfy, Slack, a program. */

import process from "node:process";
import type { AlertChannel } from "../../config/types.ts";
import { messageOf } from "../../lib/text.ts";
import { type Clock, nextTurn, pause, systemClock } from "../../lib/time.ts";
import { getLogger } from "../../log/mod.ts";
import type { ExitStatus, Runtime } from "../../runtime/types.ts";
import { networkFault } from "../../upstream/transport/failures.ts";
import { withoutCredentials } from "../../upstream/transport/http-client.ts";
import { unlessAborted } from "../../upstream/transport/sendings.ts";
import { childEnv } from "../../upstream/transport/stdio.ts";
import { shownChannel } from "./rules.ts";
import type { AlertState } from "./state.ts";

/** One alert as a channel is told of it; public, member for member. */
export interface Told extends Readonly<Record<"id" | "rule" | "subject" | "text" | "url", string>> {
  readonly state: AlertState | "test";
  /** Ms since the epoch. */
  readonly since: number;
}

/** What goes out at once: an alert, or several that have changed together, each in `alerts`. */
export interface AlertMessage extends Told {
  readonly alerts?: readonly Told[];
}

/** What a channel needs. */
export interface ChannelParts {
  readonly runtime: Pick<Runtime, "spawn">;
  readonly clock?: Clock | undefined;
  /** Milliseconds that one try may take. @default 5 000 */
  readonly patience?: number | undefined;
  /** Called when somebody was told, or it is known that nobody will be. */
  readonly onEnd?: ((message: AlertMessage, isTold: boolean) => void) | undefined;
}

const PATIENCE = 5_000;
/** Ms before each try. */
const TRIES = [0, 1_000, 5_000];
/** Messages that wait for the one before them. */
const MOST_WAITING = 50;

const log = getLogger("mcproxy", "alerts");

/**
 * Tells a message once.
 * @throws {Error} why nobody was told, without any secret
 */
export async function tellOnce(
  channel: AlertChannel,
  message: AlertMessage,
  { runtime, patience = PATIENCE }: ChannelParts,
  stop: readonly AbortSignal[] = [],
): Promise<void> {
  const signal = AbortSignal.any([AbortSignal.timeout(patience), ...stop]);
  try {
    if (channel.kind === "command") await run(channel.command, message, runtime, signal);
    else await post(channel, message, signal);
  } catch (error) {
    throw signal.aborted ? new Error(`no answer within ${patience / 1_000} s`) : error;
  }
}

type Address = Exclude<AlertChannel, { readonly kind: "command" }>;

async function post({ kind, url: text }: Address, message: AlertMessage, signal: AbortSignal) {
  const { url, headers } = withoutCredentials(text);
  const { body, ...own } = BODIES[kind](message);
  const init = { method: "POST", body, redirect: "manual", signal } as const;
  const response = await fetch(url, { ...init, headers: { ...headers, ...own } })
    .catch((error) => Promise.reject(new Error(networkFault(error).words)));
  void response.body?.cancel().catch(() => {});
  // What cannot be followed is none: a redirect leads where nobody has said.
  if (!response.ok) throw new Error(`it answered HTTP ${response.status || "with a redirect"}`);
}

/** The body that each kind takes, and its headers. */
const BODIES = {
  webhook: (message: AlertMessage) => jsonBody(message),
  slack: ({ text, state, url }: AlertMessage) =>
    // It reads these three as markup.
    jsonBody({
      text: `mcproxy: ${text} (${state})\n${url}`.replace(/[&<>]/g, (char) => ESCAPES[char]!),
    }),
  ntfy: ({ rule, state, text, url }: AlertMessage) => ({
    ...{ body: text, title: `mcproxy: ${rule} ${state}`, click: url },
    priority: state === "firing" ? "high" : "default",
  }),
};

const ESCAPES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

function jsonBody(value: object) {
  return { body: JSON.stringify(value), "content-type": "application/json" };
}

async function run(
  [command = "", ...args]: readonly string[],
  message: AlertMessage,
  runtime: ChannelParts["runtime"],
  signal: AbortSignal,
): Promise<void> {
  const { promise: ended, resolve: onExit } = Promise.withResolvers<ExitStatus>();
  const env = childEnv(process.env, {}, process.platform);
  // Nobody wants to know what it says: it is read slowly, however much that is.
  const output = { onStdout: nextTurn, onStderr: nextTurn };
  const child = await runtime.spawn({ command, args, env, onExit, ...output });
  // A program that reads nothing may well have done its work.
  child.write(`${JSON.stringify(message)}\n`).catch(() => {});
  child.endInput();
  try {
    const { code, signal: by } = await unlessAborted(ended, signal);
    if (code !== 0) throw new Error(`it ended with ${by ?? `code ${code}`}`);
  } finally {
    if (signal.aborted) child.kill("SIGKILL");
  }
}

/** Tells one channel what it is given, one after the other; nobody waits for it. */
export class ChannelQueue {
  #waiting = 0;
  #last = Promise.resolve();
  readonly #end = new AbortController();

  constructor(private readonly channel: AlertChannel, private readonly parts: ChannelParts) {}

  /** Of those beyond what may wait nobody is told. */
  push(message: AlertMessage): void {
    if (this.#waiting === MOST_WAITING) return this.parts.onEnd?.(message, false);
    this.#waiting++;
    this.#last = this.#last.then(() => this.#tell(message)).finally(() => this.#waiting--);
  }

  close(): void {
    this.#end.abort();
  }

  async #tell(message: AlertMessage): Promise<void> {
    const { channel, parts, parts: { clock = systemClock, onEnd } } = this;
    const { signal } = this.#end;
    let why: string | undefined;
    for (const wait of TRIES) {
      if (wait > 0) await pause(wait, clock, signal);
      if (signal.aborted) return;
      why = await tellOnce(channel, message, parts, [signal]).then(() => undefined, messageOf);
      if (why === undefined) return onEnd?.(message, true);
    }
    if (signal.aborted) return;
    log.warn("Cannot tell {kind} {target} of an alert: {why}", { ...shownChannel(channel), why });
    onEnd?.(message, false);
  }
}
