import { type HttpFake, startHttpFake } from "../support/fakes/http-server.ts";
import type { FakeSpec } from "../support/fakes/spec.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import type { Mode } from "../support/program.ts";

/** The entry of a fake stdio upstream in a config; its own name is never its config key. */
export function stdioUpstream(spec: FakeSpec = {}, extra: object = {}): Record<string, unknown> {
  return { ...fakeCommand(spec), ...extra };
}

/**
 * The upstreams most tests work with: two stdio servers with equal names, a paged one, and one per
 * HTTP transport and era.
 */
export interface World {
  readonly gateway: Gateway;
  /** Modern, Streamable HTTP. */
  readonly modern: HttpFake;
  /** Legacy, Streamable HTTP with sessions, answers as event streams. */
  readonly web: HttpFake;
  /** HTTP+SSE of 2024-11-05; the config does not say so. */
  readonly old: HttpFake;
  close(): Promise<void>;
}

/** What each upstream of the {@link World} is. */
export const SPECS = {
  alpha: {
    name: "alpha-itself",
    prompts: ["greet"],
    resources: ["one", "shared://thing"],
    templates: ["item"],
    instructions: "Ask alpha first",
  },
  beta: { name: "beta-itself", prompts: ["greet"], resources: ["shared://thing"] },
  paged: { name: "paged-itself", tools: 25, pageSize: 10, faults: { emptyCursor: true } },
  modern: {
    name: "modern-itself",
    era: "modern",
    prompts: ["greet"],
    resources: ["one"],
    templates: ["item"],
  },
  web: { name: "web-itself", version: "2025-06-18", prompts: ["greet"], resources: ["one"] },
  old: { name: "old-itself", version: "2024-11-05", resources: ["one"] },
} as const satisfies Record<string, FakeSpec>;

/** Starts all of it and waits until every upstream is there. */
export async function startWorld(mode: Mode): Promise<World> {
  const paged = await startHttpFake(SPECS.paged);
  const modern = await startHttpFake(SPECS.modern);
  const web = await startHttpFake(SPECS.web, { answer: "sse" });
  const old = await startHttpFake(SPECS.old, { transport: "sse" });
  const closeFakes = async () => {
    await Promise.all([paged.close(), modern.close(), web.close(), old.close()]);
  };
  try {
    const gateway = await startGateway({
      mode,
      config: {
        // More tools than are listed by default, and lists are what most tests are about.
        gating: "off",
        mcpServers: {
          alpha: stdioUpstream(SPECS.alpha),
          beta: stdioUpstream(SPECS.beta),
          paged: { url: paged.url },
          modern: { url: modern.url },
          web: { url: web.url },
          old: { url: old.url },
        },
      },
    });
    await gateway.ready();
    const close = async () => {
      await gateway.stop();
      await closeFakes();
    };
    return { gateway, modern, web, old, close };
  } catch (error) {
    await closeFakes();
    throw error;
  }
}
