/** The output of a `${cmd:…}`. Loaded only where there is one. */

import { spawn } from "node:child_process";
import process from "node:process";
import { attempt, joinBytes } from "../lib/json.ts";
import { codeOf } from "../lib/text.ts";
import type { Unavailable } from "./expand.ts";
import { withoutUndefined } from "./issue.ts";
import type { Env } from "./types.ts";

/** A value that had to be fetched, or why it could not be. */
export type Fetched = { readonly value: string } | Unavailable;

/** A password manager that asks somebody must not hold up a start for ever. */
const TIMEOUT_MS = 10_000;

const MAX_OUTPUT_BYTES = 64 * 1024;

/** Options of {@link commandOutput}. */
export interface CommandOptions {
  /** The directory it runs in, absolute. */
  readonly cwd: string;
  /** All of its environment. */
  readonly env: Env;
  /** Milliseconds it may take. @default 10_000 */
  readonly timeout?: number;
}

/**
 * Runs `text` in the shell and gives what it prints on stdout, trimmed. Never rejects; what is said
 * of a failure has nothing of the command or its output in it, which may be secret. What it starts
 * ends with it.
 */
export function commandOutput(text: string, options: CommandOptions): Promise<Fetched> {
  const { cwd, env, timeout = TIMEOUT_MS } = options;
  const { promise, resolve } = Promise.withResolvers<Fetched>();
  const isWindows = process.platform === "win32";
  let child: ReturnType<typeof spawn>;
  try {
    child = spawn(text, {
      cwd,
      env: withoutUndefined(env),
      shell: true,
      // A group of its own, so that all of it can be ended.
      detached: !isWindows,
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch (error) {
    return Promise.resolve(failed(`could not be started: ${codeOf(error) ?? "unknown error"}`));
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  const end = (outcome: Fetched): void => {
    clearTimeout(timer);
    resolve(outcome);
  };
  const stop = (what: string): void => {
    kill(child.pid, isWindows);
    child.stdout?.destroy();
    end(failed(what));
  };
  const timer = setTimeout(() => stop(`did not end within ${timeout / 1000} s`), timeout);
  child.stdout?.on("data", (chunk: Uint8Array) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size > MAX_OUTPUT_BYTES) stop(`printed more than ${MAX_OUTPUT_BYTES / 1024} KiB`);
  });
  child.once(
    "error",
    (error) => end(failed(`could not be started: ${codeOf(error) ?? "unknown error"}`)),
  );
  child.once("close", (code, signalName) => {
    // Its shell has ended; what that left in the background has not.
    if (!isWindows) kill(child.pid, isWindows);
    if (code === 0) end({ value: new TextDecoder().decode(joinBytes(chunks, size)).trim() });
    else end(failed(code === null ? `was ended by ${signalName}` : `ended with exit code ${code}`));
  });
  return promise;
}

function failed(what: string): Unavailable {
  return {
    why: `the command of "\${cmd:…}" ${what}`,
    remedy: "run it by hand, as the user the gateway runs as, to see why",
  };
}

function kill(pid: number | undefined, isWindows: boolean): void {
  // It may have ended, with all it started.
  if (pid !== undefined) attempt(() => process.kill(isWindows ? pid : -pid, "SIGKILL"));
}
