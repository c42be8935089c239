/** `mcproxy ui`: the dashboard, in a browser. */

import { ExitCode, type Io, say } from "../../app/io.ts";
import { openInBrowser } from "../browser.ts";
import type { Invocation } from "../command.ts";
import { NotLetInError } from "../credential.ts";
import { printReport } from "../view/table.ts";
import { askGateway } from "./asked.ts";

/** Prints the address of the page, with a key, and opens it. */
export async function run({ options }: Invocation, io: Io): Promise<number> {
  return await askGateway(options, io, async (gateway, { label }) => {
    const issued = gateway.api("POST", "ui-key").catch(async (error: unknown) => {
      if (!(error instanceof NotLetInError)) throw error;
      // Whoever is told of the servers without a key may look at the page without one.
      await gateway.status().catch(() => Promise.reject(error));
      const note = "Without the gateway's own key the page can change nothing";
      await say(io.stderr, `${note}: run this as the user of the gateway\n`);
      return {};
    });
    const { key, expiresAt } = await issued as { key?: string; expiresAt?: number };
    const address = `${label}/${key === undefined ? "" : `#key=${key}`}`;
    await printReport(io, options, { address, expiresAt }, () => [address]);
    if (options["no-browser"] !== true) await openInBrowser(address, io);
    return ExitCode.Ok;
  });
}
