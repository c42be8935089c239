/** From "the file may have changed" to a gateway that does what it says now. */

import { formatIssue } from "../config/issue.ts";
import { type ConfigDiff, diffConfig } from "../config/types.ts";
import { type ChangeAnswer, ConfigWatch } from "../config/watch.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { getLogger, type Logging } from "../log/mod.ts";
import type { Runtime } from "../runtime/types.ts";
import { CliError } from "./io.ts";
import { ConfigurationError, type ServePlan } from "./plan.ts";
import type { Notifier } from "./systemd.ts";

/** What a {@link Reloader} works on. */
export interface ReloaderOptions {
  readonly gateway: Gateway;
  /** What the gateway was started with. */
  readonly started: ServePlan;
  /** Plans a start anew, as it would be done now. */
  readonly plan: () => Promise<ServePlan>;
  /** How the servers are doing, in one line for `systemctl status`. */
  readonly summary: () => string;
  readonly logging?: Pick<Logging, "setSecrets" | "setLevel"> | undefined;
  readonly notifier?: Pick<Notifier, "reloading" | "ready" | "status"> | undefined;
}

const log = getLogger("mcproxy", "reload");

/** Loads the configuration again and puts it in force. One load at a time: the caller's duty. */
export class Reloader {
  /** The plan in force. */
  #plan: ServePlan;
  /** What the log must not contain. */
  #secrets: readonly string[];
  #refused: string | undefined;

  constructor(private readonly options: ReloaderOptions) {
    this.#plan = options.started;
    this.#secrets = options.started.secrets;
  }

  /**
   * Reads the file and applies it. One that cannot be used changes nothing: it is logged and shown
   * by the status, unless `final` is false, which says that it may be half written. `asked`:
   * somebody waits for a word even if nothing has changed. Returns whether it could be used, and
   * what was read for it. Never rejects.
   */
  async reload({ final, asked }: { final: boolean; asked: boolean }): Promise<ChangeAnswer> {
    let next: ServePlan;
    try {
      next = await this.options.plan();
    } catch (error) {
      if (final) this.#refuse(error);
      const sources = error instanceof ConfigurationError ? error.sources : new Map();
      return { used: false, sources };
    }
    const { sources } = next;
    const diff = diffConfig(this.#plan.config, next.config);
    if (!final && mayBeCutShort(next, diff)) return { used: false, sources };
    this.#apply(next, diff, asked);
    return { used: true, sources };
  }

  #apply(next: ServePlan, diff: ConfigDiff, asked: boolean): void {
    const { gateway, notifier, logging, summary } = this.options;
    const { logLevel, secrets } = this.#plan;
    const hadFailed = this.#refused !== undefined;
    const isNews = asked || hadFailed || summaryOf(diff) !== undefined;
    if (isNews) notifier?.reloading();
    // What is let go may still quote the old secrets, and what is not gone yet older ones.
    const before = gateway.members.isSteady ? secrets : this.#secrets;
    this.#secrets = [...new Set([...next.secrets, ...before])];
    logging?.setSecrets(this.#secrets, gateway.isName);
    if (next.logLevel !== logLevel) logging?.setLevel(next.logLevel);
    if (isNews) {
      // What was only read again has been in force since it was read first.
      gateway.reload(next.config);
      notifier?.ready();
    }
    // It still says that the file was refused.
    if (hadFailed) notifier?.status(summary());
    this.#plan = next;
    this.#tell(next, diff, isNews);
    this.#refused = undefined;
  }

  #refuse(error: unknown): void {
    const { gateway, notifier } = this.options;
    const text = gateway.redact(error instanceof CliError ? error.message : String(error));
    gateway.configState.refuse(text);
    // `systemctl reload` waits for the end of what it asked for, however it ends.
    notifier?.reloading();
    notifier?.ready();
    notifier?.status(`configuration not reloaded: ${text}`);
    // A file that stays broken is told of once.
    if (this.#refused === text) return;
    this.#refused = text;
    log.error("The configuration was not reloaded, the one before stays in force: {error}", {
      error: text,
    });
  }

  #tell({ warnings, config }: ServePlan, diff: ConfigDiff, loud: boolean): void {
    const { gateway } = this.options;
    const summary = summaryOf(diff);
    if (summary === undefined) {
      log[loud ? "info" : "debug"]("The configuration was read again: nothing has changed", {
        file: config.file,
      });
      return;
    }
    log.info("Configuration reloaded: {summary}", { summary, file: config.file });
    for (const issue of warnings) log.warning("{issue}", { issue: formatIssue(issue) });
    for (const name of [...diff.added, ...diff.changed]) {
      const server = config.servers.get(name);
      if (server?.problem === undefined || server.disabled) continue;
      log.error("{issue}", { issue: formatIssue(server.problem) });
    }
    const { restartNeeded } = gateway.configState.status();
    if (diff.restartNeeded.length > 0 && restartNeeded.length > 0) {
      log.warning("Restart the gateway to apply {settings}; everything else is in force", {
        settings: restartNeeded.map((name) => JSON.stringify(name)).join(", "),
      });
    }
  }
}

/** Half of a YAML file is a YAML file, too: it has fewer servers and nothing new. */
function mayBeCutShort({ sources }: ServePlan, { added, changed, removed }: ConfigDiff): boolean {
  return removed.length > 0 && added.length === 0 && changed.length <= 1 &&
    [...sources.keys()].some((path) => /\.ya?ml$/i.test(path));
}

/** `added a, b; changed c; settings logLevel`, or `undefined` where nothing differs. */
function summaryOf(diff: ConfigDiff): string | undefined {
  const parts = [
    ["added", diff.added],
    ["changed", diff.changed],
    ["removed", diff.removed],
    ["settings", diff.settingsChanged],
  ] as const;
  const texts = parts.flatMap(([verb, names]) =>
    names.length === 0 ? [] : [`${verb} ${names.join(", ")}`]
  );
  return texts.length === 0 ? undefined : texts.join("; ");
}

/** What {@link followConfiguration} works on. */
export interface FollowOptions extends ReloaderOptions {
  readonly runtime: Pick<Runtime, "watchDirectory">;
}

/** A configuration that is followed. */
export interface Followed {
  /** Reads it again now, changed or not. */
  now(): void;
  /** Follows it no more. */
  close(): void;
}

/** Keeps a running gateway at what its configuration says, until `close()`. */
export function followConfiguration(options: FollowOptions): Followed {
  const reloader = new Reloader(options);
  const watch = new ConfigWatch({
    runtime: options.runtime,
    sources: options.started.sources,
    onChange: ({ final, forced }) => reloader.reload({ final, asked: forced }),
    onError: (error) => log.warning("Cannot watch the configuration: {error}", { error }),
  });
  return { now: () => void watch.check({ force: true }), close: () => watch.close() };
}
