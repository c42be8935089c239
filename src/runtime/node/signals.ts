/** Process signals, through `node:process` on both runtimes. */

import process from "node:process";
import type { ProcessSignal } from "../types.ts";

/**
 * {@link Runtime.onSignal}. While a handler is registered the signal does not end the process; with
 * the last one removed the system's default is back.
 */
export function onSignal(signal: ProcessSignal, handler: () => void): () => void {
  // A listener of its own, so that the same handler may be registered twice and removed once.
  const listener = (): void => handler();
  process.on(signal, listener);
  return () => void process.off(signal, listener);
}
