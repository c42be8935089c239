/** What looks at the calls of a gateway, and what is loaded for it as the configuration says. */

import type { Gateway } from "../gateway/gateway.ts";
import type { Bodies } from "./bodies.ts";
import { Recorder } from "./recorder.ts";

/** What an {@link Observatory} stands on. */
export interface ObservatoryOptions {
  /** Where it is kept what outlives the process; without, nothing does. */
  readonly stateDirectory?: string | undefined;
}

/** Made beside a gateway, before that is started; to be closed after it. */
export class Observatory {
  readonly recorder: Recorder;
  #bodies: Promise<Bodies> | undefined;
  readonly #off: () => void;

  constructor(readonly gateway: Gateway, readonly options: ObservatoryOptions = {}) {
    this.recorder = new Recorder(gateway.events);
    this.#off = gateway.events.on("config", () => this.#configure());
    this.#configure();
  }

  /** What calls have said, as far as it is kept; from the first time on that anybody asks. */
  bodies(): Promise<Bodies> {
    return this.#bodies ??= import("./bodies.ts").then(({ Bodies }) => new Bodies(this.gateway));
  }

  /** Nothing is recorded any more. Never rejects. */
  async close(): Promise<void> {
    this.#off();
    this.recorder.close();
    (await this.#bodies)?.close();
  }

  #configure(): void {
    const { history } = this.gateway.config.settings;
    if (history !== "off" && history.bodies !== "off") void this.bodies();
  }
}
