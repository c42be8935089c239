import { diffConfig } from "../../config/diff.ts";
import type { Config } from "../../config/types.ts";
import type { Facts } from "../events.ts";

/** What `/api/status` says of the configuration. */
export interface ConfigStatus {
  readonly path: string;
  /** When the configuration in force was loaded, ISO 8601. */
  readonly loadedAt: string;
  /** Why the file as it is now is not in force, with line, column and remedy; `null` while it is. */
  readonly error: string | null;
  /** When that was found, ISO 8601. */
  readonly errorAt: string | null;
  /** Settings of the file that differ from those in use until the gateway is started again. */
  readonly restartNeeded: readonly string[];
}

/** Remembers what became of the configuration file since the start. */
export class ConfigState {
  readonly #started: Config;
  #current: Config;
  #loadedAt = new Date();
  #refused: { readonly error: string; readonly at: Date } | undefined;
  #restartNeeded: readonly string[] = [];

  constructor(config: Config, private readonly events: Facts) {
    this.#started = config;
    this.#current = config;
  }

  /** The configuration in force. */
  get current(): Config {
    return this.#current;
  }

  /** Settings that wait for a restart. */
  get restartNeeded(): readonly string[] {
    return this.#restartNeeded;
  }

  /** Another one is in force. What only a start can take on is compared with that of the start. */
  accept(config: Config): void {
    this.#current = config;
    this.#loadedAt = new Date();
    this.#refused = undefined;
    this.#restartNeeded = diffConfig(this.#started, config).restartNeeded;
    this.events.emit({ kind: "config", file: config.file, refused: undefined });
  }

  /** The file cannot be used; what was in force stays so. */
  refuse(error: string): void {
    this.#refused = { error, at: new Date() };
    this.events.emit({ kind: "config", file: this.#current.file, refused: error });
  }

  /** As it is now. */
  status(): ConfigStatus {
    return {
      path: this.#current.file,
      loadedAt: this.#loadedAt.toISOString(),
      error: this.#refused?.error ?? null,
      errorAt: this.#refused?.at.toISOString() ?? null,
      restartNeeded: this.#restartNeeded,
    };
  }
}
