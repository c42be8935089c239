import { runtime } from "#runtime";
import type { Io, TextOutput } from "../../src/app/io.ts";
import { main } from "../../src/cli/main.ts";
import type { ProcessSignal } from "../../src/runtime/types.ts";
import type { Inbox } from "./inbox.ts";
import { ROOT } from "./program.ts";

/** The program running inside the test's own process. */
export interface Inside {
  readonly exited: Promise<number>;
  /** Delivers a signal to the program's own handlers, not to the process. */
  signal(signal: ProcessSignal): void;
}

/** Runs a command line with streams, environment and signals of the test's making. */
export function runInside(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  output: Inbox<string>,
): Inside {
  const handlers = new Map<ProcessSignal, Set<() => void>>();
  const io: Io = {
    stdout: lines(output),
    stderr: lines(output),
    stdin: Object.assign(noInput(), { isTerminal: false }),
    hasTerminal: () => false,
    env: { ...env, NO_COLOR: "1" },
    cwd: ROOT,
    runtime: {
      ...runtime,
      onSignal: (signal, handler) => {
        const registered = handlers.get(signal) ?? new Set();
        handlers.set(signal, registered.add(handler));
        return () => registered.delete(handler);
      },
    },
    onUncaught: () => () => {},
  };
  const exited = main(args, io);
  void exited.then((code) => output.end(`exit ${code}`));
  return {
    exited,
    signal: (signal) => handlers.get(signal)?.forEach((handler) => handler()),
  };
}

async function* noInput(): AsyncGenerator<Uint8Array> {
  // A service has no input.
}

function lines(into: Inbox<string>): TextOutput {
  let rest = "";
  return {
    isTerminal: false,
    identity: null,
    columns: 80,
    rows: 24,
    write: (text) => {
      const all = (rest + text).split("\n");
      rest = all.pop()!;
      for (const line of all) into.push(line);
      return Promise.resolve();
    },
  };
}
