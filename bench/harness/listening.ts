import { connect, createServer } from "node:net";
import process from "node:process";
import { startProcess } from "../../tests/support/process.ts";
import { emptyCache } from "./cache.ts";
import { type CommandLine, ROOT } from "./programs.ts";
import { end } from "./server.ts";

/** A port nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Milliseconds from the start of a process to the first connection it takes; ends it then. */
export async function timeToListen(line: CommandLine, port: number): Promise<number> {
  using cache = emptyCache();
  const began = performance.now();
  const running = await startProcess(line.command, line.args, {
    cwd: ROOT,
    env: { ...process.env, ...cache.env, NO_COLOR: "1" },
  });
  try {
    while (!await connects(port)) {
      if (performance.now() - began > 20_000 || running.stdout.ended) {
        throw new Error(`Cannot measure the start: nobody listens on port ${port}`);
      }
    }
    return performance.now() - began;
  } finally {
    // Only after its own stop, so that its children do not disturb the next measurement.
    await end(running);
  }
}

/** One attempt; a refusal comes back within a fraction of a ms, and the pause bounds our cost. */
function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => setTimeout(() => resolve(false), 1));
  });
}
