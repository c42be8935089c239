/** Where alerts are told: a webhook, a topic of ntfy, Slack, a program. */

import process from "node:process";
import type { AlertChannel } from "../../config/types.ts";
import { messageOf } from "../../lib/text.ts";
import { type Clock, pause, systemClock } from "../../lib/time.ts";
import { getLogger } from "../../log/mod.ts";
import type { Runtime } from "../../runtime/types.ts";
import { networkFault } from "../../upstream/transport/failures.ts";
import { withoutCredentials } from "../../upstream/transport/http-client.ts";
import { childEnv } from "../../upstream/transport/stdio.ts";
import { shownChannel } from "./rules.ts";
import type { AlertState } from "./state.ts";

/** One alert as a channel is told of it; public, member for member. */
export interface Told {
  /** The same for its begin and its end. */
  readonly id: string;
  readonly rule: string;
  readonly subject: string;
  readonly state: AlertState | "test";
  /** Ms since the epoch. */
  readonly since: number;
  readonly text: string;
  /** Where to look. */
  readonly url: string;
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
  /** Called when somebody was told. */
  readonly onTold?: ((message: AlertMessage) => void) | undefined;
}

const PATIENCE = 5_000;
const TRIES = 3;
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
  stop?: AbortSignal,
): Promise<void> {
  if (channel.kind === "command") return await run(channel.command, message, runtime, patience);
  const { url, headers } = withoutCredentials(channel.url);
  const told = bodyFor(channel.kind, message);
  const signal = AbortSignal.any([AbortSignal.timeout(patience), ...stop ? [stop] : []]);
  let response;
  try {
    const init = { method: "POST", body: told.body, redirect: "manual", signal } as const;
    response = await fetch(url, { ...init, headers: { ...headers, ...told.headers } });
  } catch (error) {
    throw new Error(signal.aborted ? late(patience) : networkFault(error).words);
  }
  void response.body?.cancel().catch(() => {});
  // What cannot be followed is none: a redirect leads where nobody has said.
  if (!response.ok) throw new Error(`it answered HTTP ${response.status || "with a redirect"}`);
}

function late(patience: number): string {
  return `no answer within ${patience / 1_000} s`;
}

function bodyFor(kind: "webhook" | "ntfy" | "slack", message: AlertMessage) {
  const { rule, state, text, url } = message;
  if (kind === "ntfy") {
    const headers = { title: `mcproxy: ${rule} ${state}`, click: url };
    return {
      body: text,
      headers: { ...headers, priority: state === "firing" ? "high" : "default" },
    };
  }
  // Slack reads these three as markup.
  const escape = (word: string) => word.replace(/[&<>]/g, (char) => SLACK[char]!);
  const json = kind === "slack" ? { text: escape(`mcproxy: ${text} (${state})\n${url}`) } : message;
  return { body: JSON.stringify(json), headers: { "content-type": "application/json" } };
}

const SLACK: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

async function run(
  [command = "", ...args]: readonly string[],
  message: AlertMessage,
  runtime: ChannelParts["runtime"],
  patience: number,
): Promise<void> {
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  ended.catch(() => {});
  const ignore = () => {};
  const child = await runtime.spawn({
    ...{ command, args, env: childEnv(process.env, {}, process.platform) },
    ...{ onStdout: ignore, onStderr: ignore },
    onExit: ({ code, signal }) =>
      code === 0 ? resolve() : reject(new Error(`it ended with ${signal ?? `code ${code}`}`)),
  });
  const off = systemClock.after(patience, () => {
    reject(new Error(late(patience)));
    child.kill("SIGKILL");
  });
  // A program that reads nothing may well have done its work.
  child.write(`${JSON.stringify(message)}\n`).catch(ignore);
  child.endInput();
  await ended.finally(off);
}

/** Tells one channel what it is given, one after the other; nobody waits for it. */
export class ChannelQueue {
  /** Messages that were told to nobody. */
  dropped = 0;
  #waiting = 0;
  #last = Promise.resolve();
  readonly #end = new AbortController();

  constructor(private readonly channel: AlertChannel, private readonly parts: ChannelParts) {}

  /** Of those beyond what may wait nobody is told. */
  push(message: AlertMessage): void {
    if (this.#waiting === MOST_WAITING) return void this.dropped++;
    this.#waiting++;
    this.#last = this.#last.then(() => this.#tell(message)).finally(() => this.#waiting--);
  }

  close(): void {
    this.#end.abort();
  }

  async #tell(message: AlertMessage): Promise<void> {
    const { channel, parts, parts: { clock = systemClock } } = this;
    const { signal } = this.#end;
    for (let tries = 1; !signal.aborted; tries++) {
      const told = tellOnce(channel, message, parts, signal);
      const why = await told.then(() => undefined, messageOf);
      if (why === undefined) return parts.onTold?.(message);
      if (tries < TRIES) await pause(1_000 * 5 ** (tries - 1), clock, signal);
      else {
        this.dropped++;
        const { kind, target } = shownChannel(channel);
        return log.warn("Cannot tell {kind} {target} of an alert: {why}", { kind, target, why });
      }
    }
  }
}
