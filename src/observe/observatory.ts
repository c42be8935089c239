/** What looks at the calls of a gateway, and what is loaded for it as the configuration says. */

import type { Gateway } from "../gateway/gateway.ts";
import { Recorder } from "./recorder.ts";

/** What an {@link Observatory} stands on. */
export interface ObservatoryOptions {
  /** Where it is kept what outlives the process; without, nothing does. */
  readonly stateDirectory?: string | undefined;
}

/** Made beside a gateway, before that is started; to be closed after it. */
export class Observatory {
  readonly recorder: Recorder;

  constructor(readonly gateway: Gateway, readonly options: ObservatoryOptions = {}) {
    this.recorder = new Recorder(gateway.events);
  }

  /** Nothing is recorded any more. Never rejects. */
  close(): Promise<void> {
    this.recorder.close();
    return Promise.resolve();
  }
}
