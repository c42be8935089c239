import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startHttpFake } from "../support/fakes/http-server.ts";
import type { FakeSpec } from "../support/fakes/spec.ts";
import type { Gateway } from "../support/gateway.ts";
import type { Tools } from "./suite.ts";
import { stdioUpstream } from "./world.ts";

/** A gateway whose servers are odd in one way each; a test looks at its own and changes none. */
export interface OddWorld {
  readonly gateway: Gateway;
  /** Gets a line per start of the server that crashes when it is probed. */
  readonly touchyStarts: string;
  /** Gets a line per start of the server that is disabled. */
  readonly offStarts: string;
}

/** Starts all of it and waits until every server is there or has failed. */
export async function startOddWorld({ start, scope }: Tools): Promise<OddWorld> {
  const directory = await mkdtemp(join(tmpdir(), "mcproxy-odd-"));
  scope.defer(() => rm(directory, { recursive: true }));
  const touchyStarts = join(directory, "touchy");
  const offStarts = join(directory, "off");
  const http = async (spec: FakeSpec) => ({ url: scope.use(await startHttpFake(spec)).url });
  const old = scope.use(await startHttpFake({ tools: ["echo"] }, { transport: "sse" }));
  const unset = { env: { KEY: "${MCPROXY_TEST_UNSET_VARIABLE}" } };
  const gateway = await start({
    gating: "off",
    mcpServers: {
      good: await http({ tools: ["echo"] }),
      badref: await http({ tools: ["echo"], faults: { badRef: true } }),
      loop: await http({ tools: ["echo", "pid"], faults: { cursorLoop: true } }),
      twins: await http({ tools: ["echo", "twin", "twin", "pid"] }),
      one: await http({ tools: ["solo", "both"] }),
      two: await http({ tools: ["raw", "both"] }),
      guessed: { url: old.url },
      pinned: { url: old.url, transport: "sse" },
      needy: stdioUpstream({ tools: ["echo"] }, unset),
      content: stdioUpstream({ tools: ["env"] }, { env: { KEY: "${NO_SUCH_ONE:-default value}" } }),
      local: stdioUpstream({ tools: ["env"] }, { env: { MINE: "yes" } }),
      touchy: stdioUpstream({
        tools: ["echo"],
        startsFile: touchyStarts,
        faults: { crashOnProbe: true },
      }),
      off: stdioUpstream({ startsFile: offStarts }, { disabled: true }),
    },
  }, { env: { MCPROXY_TEST_LEAK: "leaked" } });
  await gateway.ready();
  return { gateway, touchyStarts, offStarts };
}
