/** `mcproxy status --watch`: the same again and again, until somebody has seen enough. */

import { setTimeout as pause } from "node:timers/promises";
import { CliError, ExitCode, type Io, type TextOutput } from "../app/io.ts";
import { fit, printable } from "../lib/text.ts";
import type { RemoteAnswer, RemoteCaller } from "./remote.ts";
import { formatSpan, renderStatus } from "./status-view.ts";
import { LiveScreen } from "./view/live.ts";
import { type Style, styleFor } from "./view/table.ts";

/** What one question came to. */
type Sample =
  | { readonly ok: true; readonly answer: RemoteAnswer; readonly at: number }
  | { readonly ok: false; readonly message: string; readonly at: number };

/** Where samples go. */
interface Presenter {
  /** Resolves to whether anybody reads any more. */
  show(sample: Sample): Promise<boolean>;
  end?(): void;
}

/**
 * Asks and shows until SIGINT, SIGTERM or the end of the reader, which all are a good end. A
 * gateway that is away is shown as such and asked again: it may be about to be restarted.
 *
 * @param options.interval milliseconds between an answer and the next question
 */
export async function watchStatus(
  caller: RemoteCaller,
  io: Io,
  { interval, json }: { readonly interval: number; readonly json: boolean },
): Promise<ExitCode> {
  const stop = new AbortController();
  const off = (["SIGINT", "SIGTERM"] as const)
    .map((signal) => io.runtime.onSignal(signal, () => stop.abort()));
  stop.signal.addEventListener("abort", () => void caller.close());
  const presenter = presenterFor(io, json);
  try {
    while (!stop.signal.aborted) {
      const sample = await ask(caller);
      if (stop.signal.aborted) break;
      // The reader has closed its end: `mcproxy status --watch | head`.
      if (!await presenter.show(sample)) break;
      await pause(interval, undefined, { signal: stop.signal });
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    presenter.end?.();
    for (const remove of off) remove();
  }
  return ExitCode.Ok;
}

async function ask(caller: RemoteCaller): Promise<Sample> {
  try {
    return { ok: true, answer: await caller.status(), at: Date.now() };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return { ok: false, message: error.message, at: Date.now() };
  }
}

function presenterFor({ stdout, env }: Io, json: boolean): Presenter {
  const style = styleFor({ isTerminal: stdout.isTerminal, env });
  if (!json && stdout.isTerminal && env["TERM"] !== "dumb") {
    return new ScreenPresenter(stdout, style);
  }
  const textOf = json ? sampleJson : (sample: Sample) => sampleText(sample, style);
  return { show: (sample) => stdout.write(`${textOf(sample)}\n`).then(() => true, () => false) };
}

/** A status, or why there is none, and an empty line. */
function sampleText(sample: Sample, style: Style): string {
  if (!sample.ok) return `${new Date(sample.at).toISOString()} ${sample.message}\n`;
  return `${renderStatus(sample.answer.body, { style, width: Infinity }).join("\n")}\n`;
}

/** One line, whatever stands between us and the gateway has made of the text. */
function sampleJson(sample: Sample): string {
  return sample.ok
    ? sample.answer.raw.trim().replace(/\s*\n\s*/g, " ")
    : JSON.stringify({ error: { message: sample.message } });
}

/** The latest sample on a terminal, redrawn in place; what was there last stays behind. */
class ScreenPresenter implements Presenter {
  readonly #screen: LiveScreen;
  #latest: Sample | undefined;
  /** The last one with an answer, for while there is none. */
  #known: (Sample & { readonly ok: true }) | undefined;
  #awaySince = 0;

  constructor(output: TextOutput, private readonly style: Style) {
    // Once a second, so that spans go on and a resized window is filled.
    this.#screen = new LiveScreen(output, (_, size) => this.#lines(size), 1_000);
  }

  show(sample: Sample): Promise<boolean> {
    const isFirst = this.#latest === undefined;
    if (!sample.ok && this.#latest?.ok !== false) this.#awaySince = sample.at;
    this.#latest = sample;
    if (sample.ok) this.#known = sample;
    if (isFirst) this.#screen.start();
    else this.#screen.refresh();
    return Promise.resolve(true);
  }

  end(): void {
    this.#screen.clear(this.#lines({ columns: Infinity, rows: Infinity }));
  }

  #lines({ columns, rows }: { readonly columns: number; readonly rows: number }): string[] {
    const { style } = this;
    const sample = this.#latest;
    const known = this.#known;
    // A full line wraps on some terminals, and a wrapped one cannot be counted.
    const width = columns - 1;
    if (sample === undefined) return [];
    if (sample.ok) return renderStatus(sample.answer.body, { style, width, rows });
    const away = formatSpan(Date.now() - this.#awaySince);
    const lines = [style.bad(fit(printable(`${sample.message}; for ${away} now`), width))];
    if (known === undefined) return lines;
    const age = `As it was ${formatSpan(Date.now() - known.at)} ago:`;
    return [
      ...lines,
      style.dim(fit(age, width)),
      ...renderStatus(known.answer.body, { style, width, rows: rows - 2, now: known.at }),
    ];
  }
}
