import type { LogLevel, LogRecord } from "@logtape/logtape";
import { createRedactor } from "../../src/lib/secrets.ts";
import { type Entry, ownEntry } from "../../src/log/entry.ts";
import type { Output, StandardOutputs, Writer } from "../../src/log/output.ts";

/** A record as LogTape makes it for `log[level](text, properties)`. */
export function record(
  text: string,
  properties: Record<string, unknown> = {},
  { level = "info", category = ["mcproxy", "upstream", "memory"] }: {
    readonly level?: LogLevel;
    readonly category?: readonly string[];
  } = {},
): LogRecord {
  const message = text.split(/\{(\w+)\}/).map((part, i) => i % 2 === 0 ? part : properties[part]);
  const timestamp = Date.UTC(2026, 10, 20, 20, 0, 0, 123);
  return { category, level, timestamp, message, rawMessage: text, properties };
}

/** A plain entry. */
export function entry(message: string): Entry {
  return ownEntry("text", "info", message, createRedactor());
}

/** A standard stream that keeps what is written, and whose reader a test can play. */
export class FakeOutput implements Output {
  readonly isTerminal: boolean;
  readonly identity: string | null;
  /** Set to make writes fail. */
  failure: Error | null = null;
  /** Set to make writes wait. */
  gate: Promise<void> | null = null;
  text = "";
  readonly #waiting: { readonly test: (text: string) => boolean; readonly done: () => void }[] = [];

  constructor(options: { readonly isTerminal?: boolean; readonly identity?: string } = {}) {
    this.isTerminal = options.isTerminal ?? false;
    this.identity = options.identity ?? null;
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }

  async write(text: string): Promise<void> {
    await this.gate;
    if (this.failure !== null) throw this.failure;
    this.text += text;
    for (const { test, done } of this.#waiting) if (test(this.text)) done();
  }

  /** Resolves when the text matches, keeping the process alive meanwhile: logging does not. */
  async until(pattern: RegExp): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const test = (text: string) => pattern.test(text);
    if (test(this.text)) resolve();
    this.#waiting.push({ test, done: resolve });
    const alive = setInterval(() => {}, 1000);
    await promise;
    clearInterval(alive);
  }
}

/** Two fake standard streams. */
export function fakeOutputs(): StandardOutputs & {
  readonly stdout: FakeOutput;
  readonly stderr: FakeOutput;
} {
  return { stdout: new FakeOutput(), stderr: new FakeOutput() };
}

/** A writer that keeps messages, and fails or waits on demand. */
export class FakeWriter implements Writer {
  readonly messages: string[] = [];
  attempts = 0;
  failures = 0;
  gate: Promise<void> | null = null;
  /** Most entries taken at once. */
  takes = Infinity;
  closed = false;

  async write(entries: readonly Entry[]): Promise<number> {
    this.attempts++;
    await this.gate;
    if (this.failures-- > 0) throw new Error("down");
    const taken = entries.slice(0, this.takes);
    this.messages.push(...taken.map((entry) => entry.message));
    return taken.length;
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

/** The next turn of the event loop, when a pump has rendered and offered what it was given. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
