/** `mcproxy tail`: each call as it ends. */

import { CliError, ExitCode, type Io, say } from "../../app/io.ts";
import type { JsonObject } from "../../lib/json.ts";
import { widthOf } from "../../lib/text.ts";
import { pause, systemClock } from "../../lib/time.ts";
import type { Invocation } from "../command.ts";
import { RefusedError } from "../credential.ts";
import { styleFor } from "../view/table.ts";
import { askGateway, listIn, pathWith } from "./asked.ts";
import { callCells } from "./calls.ts";

/** Cells of time, outcome, duration and server, as far as they may vary: no line waits for another. */
const WIDTHS = [24, 14, 9, 12];
/** Milliseconds until a gateway that is away is asked again. */
const AGAIN = 500;

/** Follows until a signal, or until nobody reads any more. */
export async function run({ args, options }: Invocation, io: Io): Promise<number> {
  const style = styleFor({ isTerminal: io.stdout.isTerminal, env: io.env });
  const lineOf = (call: JsonObject) => {
    if (options.json === true) return JSON.stringify(call);
    const cells = callCells(call, style).map(({ text, paint }, at) => {
      const pad = " ".repeat(Math.max(0, (WIDTHS[at] ?? 0) - widthOf(text)));
      return at === 2 ? pad + text : (paint?.(text) ?? text) + pad;
    });
    return cells.join("  ");
  };
  const path = pathWith("events", { topics: "calls", filter: args.join(" ") });
  return await askGateway(options, io, async (gateway, _, stop) => {
    const { signal } = stop;
    const write = async (batch: JsonObject) => {
      const lines = listIn(batch).map(lineOf);
      // The reader has closed its end: `mcproxy tail | head`.
      const isRead = lines.length === 0 ||
        await io.stdout.write(`${lines.join("\n")}\n`).then(() => true, () => false);
      if (!isRead) stop.abort();
      const left = Number(batch.left) || 0;
      if (left > 0) await say(io.stderr, style.dim(`… and ${left} more\n`));
    };
    let isThere: boolean | undefined;
    while (!signal.aborted) {
      try {
        await gateway.follow(
          path,
          (batch) => void write(batch),
          signal,
          () => isThere = true,
        );
      } catch (error) {
        // One that was there may be about to be restarted; what it refuses it will refuse again.
        const isAway = error instanceof CliError && !(error instanceof RefusedError);
        if (isThere === undefined || !isAway) throw error;
      }
      if (isThere && !signal.aborted) await say(io.stderr, "The gateway has gone; waiting\n");
      isThere = false;
      await pause(AGAIN, systemClock, signal);
    }
    return ExitCode.Ok;
  });
}
