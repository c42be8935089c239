import { type HttpFake, startHttpFake } from "../../support/fakes/http-server.ts";
import { Control } from "../../support/fakes/interactive.ts";
import type { FakeSpec } from "../../support/fakes/spec.ts";
import { type Gateway, startGateway } from "../../support/gateway.ts";
import type { Mode } from "../../support/program.ts";
import { stdioUpstream } from "../world.ts";
import type { Era } from "./requirements.ts";

/** A gateway whose upstreams speak one era only, so that nothing but that era can be used. */
export interface EraWorld {
  readonly gateway: Gateway;
  /** Steers and hears the upstream `talk`, which asks, logs and tells of changes. */
  readonly control: Control;
  close(): Promise<void>;
}

/** What the upstream `plain` has beside its tools: odd texts, which must arrive as they are. */
export const PLAIN = {
  name: "plain-itself",
  prompts: ["greet"],
  resources: ["one"],
  templates: ["item"],
} as const satisfies FakeSpec;

/** Starts all of it and waits until both upstreams are there. */
export async function startEraWorld(mode: Mode, era: Era): Promise<EraWorld> {
  const control = await Control.start();
  let web: HttpFake | undefined;
  const closeFakes = async () => {
    await web?.close();
    await control.close();
  };
  try {
    const talk = await control.http({ name: "talk-itself", era });
    if (era === "modern") web = await startHttpFake({ ...PLAIN, era });
    const plain = web === undefined ? stdioUpstream(PLAIN) : { url: web.url };
    const gateway = await startGateway({ mode, config: { mcpServers: { talk, plain } } });
    await gateway.ready();
    const close = async () => {
      try {
        await gateway.stop();
      } finally {
        await closeFakes();
      }
    };
    return { gateway, control, close };
  } catch (error) {
    await closeFakes();
    throw error;
  }
}
