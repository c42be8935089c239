import { setImmediate } from "node:timers";
import { listenError } from "../../src/runtime/listen.ts";
import {
  type ChildProcess,
  type DatagramSocket,
  type HttpServer,
  type ListenOptions,
  type ProcessSignal,
  type Runtime,
  SpawnError,
  type SpawnOptions,
} from "../../src/runtime/types.ts";
import { FakeChild, type FakeProgram } from "./fake-child.ts";
import { FakeServer } from "./fake-server.ts";

/** An in-memory {@link Runtime} for tests: nothing it does leaves the process. */

/** Options of {@link FakeRuntime}. */
export interface FakeRuntimeOptions {
  /** Which runtime to play. @default "deno" */
  readonly name?: "deno" | "bun";
  /** Programs by command; what is not here is `ENOENT`. */
  readonly programs?: Readonly<Record<string, FakeProgram>>;
  /** False plays Bun, where there are no unix datagrams. @default true, except for "bun" */
  readonly datagrams?: boolean;
}

interface Watch {
  readonly path: string;
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
}

/** Records what it is asked to do, and lets a test play the world's part. */
export class FakeRuntime implements Runtime {
  readonly name: "deno" | "bun";
  readonly version = "0.0.0-fake";
  /** Programs by command; may be changed at any time. */
  readonly programs: Map<string, FakeProgram>;
  /** All servers ever made, the closed ones too. */
  readonly servers: FakeServer[] = [];
  /** All children ever started, the ended ones too. */
  readonly children: FakeChild[] = [];

  readonly #datagrams: boolean;
  readonly #receivers = new Map<string, Uint8Array[]>();
  readonly #sockets = new Set<string>();
  readonly #watches = new Set<Watch>();
  readonly #handlers = new Map<ProcessSignal, Set<() => void>>();
  #nextPort = 40000;
  #nextPid = 1000;

  constructor(options: FakeRuntimeOptions = {}) {
    const { name = "deno", programs = {}, datagrams = name === "deno" } = options;
    this.name = name;
    this.programs = new Map(Object.entries(programs));
    this.#datagrams = datagrams;
  }

  serve(options: ListenOptions): Promise<HttpServer> {
    const port = options.port === 0 ? this.#nextPort++ : options.port;
    if (this.servers.some((server) => !server.closed && server.port === port)) {
      const cause = Object.assign(new Error("Address already in use"), { code: "EADDRINUSE" });
      return Promise.reject(listenError(options.hostname, port, cause));
    }
    const server = new FakeServer(port, options);
    this.servers.push(server);
    return Promise.resolve(server);
  }

  spawn(options: SpawnOptions): Promise<ChildProcess> {
    const program = this.programs.get(options.command);
    if (program === undefined) {
      const message = `Cannot start "${options.command}": no such command; expected a program`;
      return Promise.reject(new SpawnError(message, "ENOENT"));
    }
    const child = new FakeChild(this.#nextPid++, options);
    this.children.push(child);
    // Behind the caller's await, so that it has the handle before the first output. No setTimeout:
    // tests put their own clock in its place.
    setImmediate(() => {
      if (child.status === null) program(child);
    });
    return Promise.resolve(child);
  }

  openDatagram(path: string): Promise<DatagramSocket> | null {
    if (!this.#datagrams) return null;
    const refused = (code: string): Error =>
      Object.assign(new Error(`Cannot send to "${path}": nobody receives`), { code });
    if (!this.#receivers.has(path)) return Promise.reject(refused("ENOENT"));
    const id = `datagram socket to ${path} #${this.#nextPid++}`;
    this.#sockets.add(id);
    return Promise.resolve({
      send: (data) => {
        if (!this.#sockets.has(id)) return Promise.reject(refused("EBADF"));
        const received = this.#receivers.get(path);
        if (received === undefined) return Promise.reject(refused("ECONNREFUSED"));
        received.push(data.slice());
        return Promise.resolve();
      },
      close: () => void this.#sockets.delete(id),
    });
  }

  watchDirectory(
    path: string,
    onChange: () => void,
    onError: (error: unknown) => void,
  ): Disposable {
    const watch = { path, onChange, onError };
    this.#watches.add(watch);
    return { [Symbol.dispose]: () => void this.#watches.delete(watch) };
  }

  onSignal(signal: ProcessSignal, handler: () => void): () => void {
    const handlers = this.#handlers.get(signal) ?? new Set();
    this.#handlers.set(signal, handlers);
    const listener = (): void => handler();
    handlers.add(listener);
    return () => void handlers.delete(listener);
  }

  /** Makes somebody receive at `path`; the array fills with the datagrams. */
  receiveDatagrams(path: string): Uint8Array[] {
    const received: Uint8Array[] = [];
    this.#receivers.set(path, received);
    return received;
  }

  /** The receiver at `path` goes away; sends are refused from now on. */
  stopReceiving(path: string): void {
    this.#receivers.delete(path);
  }

  /** Something changes in a watched directory. Returns how many watches heard of it. */
  change(path: string): number {
    return this.#each(path, (watch) => watch.onChange());
  }

  /** A watched directory vanishes. Returns how many watches ended by it. */
  failWatch(path: string, error: unknown): number {
    return this.#each(path, (watch) => {
      this.#watches.delete(watch);
      watch.onError(error);
    });
  }

  /** The process gets a signal. Returns whether anybody handled it; if not it would have died. */
  raise(signal: ProcessSignal): boolean {
    const handlers = [...this.#handlers.get(signal) ?? []];
    for (const handler of handlers) handler();
    return handlers.length > 0;
  }

  /** What is still held, one line each; empty when everything was given back. */
  leaks(): string[] {
    const handled = [...this.#handlers].filter(([, handlers]) => handlers.size > 0);
    return [
      ...this.servers.filter((server) => !server.closed).map((s) => `server on port ${s.port}`),
      ...this.children.filter((child) => child.status === null)
        .map((child) => `child ${child.command} (pid ${child.pid})`),
      ...this.#sockets,
      ...[...this.#watches].map((watch) => `watch of ${watch.path}`),
      ...handled.map(([signal, handlers]) => `${handlers.size} handlers of ${signal}`),
    ];
  }

  #each(path: string, act: (watch: Watch) => void): number {
    const watches = [...this.#watches].filter((watch) => watch.path === path);
    for (const watch of watches) act(watch);
    return watches.length;
  }
}

/** A runtime that listens as `serve` does, and whose programs are those of `fake`. */
export function listeningWith(
  serve: Runtime["serve"],
  fake: FakeRuntime,
): Pick<Runtime, "serve" | "spawn"> {
  return {
    serve,
    spawn: async (options) => {
      const child = await fake.spawn(options);
      // Its program begins to read behind this; what came earlier would be lost.
      await new Promise((next) => setImmediate(next));
      return child;
    },
  };
}
