/**
 * What the gateway needs from the runtime it runs on, and nothing more.
 *
 * `deno.ts` and `bun.ts` export one object each of type {@link Runtime}; `package.json` maps
 * `#runtime` to the right one. Everything above takes the parts it needs as a parameter
 * (`Pick<Runtime, "spawn">`), so that tests hand in a fake.
 */

/** What knows the address a request came from, as either runtime hands it over: see `peerOf()`. */
export type PeerSource =
  | { readonly remoteAddr: { readonly hostname: string } }
  | { requestIP(request: Request): { readonly address: string } | null };

/**
 * Answers one HTTP request, which in tests may come from nowhere. A throw becomes a 500 without
 * details; it never ends the process.
 */
export type HttpHandler = (
  request: Request,
  source?: PeerSource,
) => Response | Promise<Response>;

/** Where to listen and who answers. */
export interface ListenOptions {
  readonly hostname: string;
  /** 0 lets the system pick; read {@link HttpServer.port} for the result. */
  readonly port: number;
  readonly handler: HttpHandler;
  /**
   * Called with what a handler threw. A body stream that errors is reported too on Deno, while Bun
   * prints that to stderr by itself: end a stream by closing it.
   */
  readonly onError: (error: unknown) => void;
}

/** A listening HTTP server. */
export interface HttpServer {
  readonly hostname: string;
  readonly port: number;
  /**
   * Stops accepting and resolves when every open response has ended. It does not end streams
   * itself: whoever owns a stream closes it on a drain signal of their own, after calling this.
   * Until then a new request is refused (Bun) or answered 503 (Deno, which cannot stop listening
   * without losing the power to {@link HttpServer.abort}). Every call returns the same promise.
   */
  stop(): Promise<void>;
  /**
   * Cuts what is still open: body streams are cancelled, pending handlers lose their client. A
   * pending {@link HttpServer.stop} resolves. Safe to call after, or instead of, stop, and twice.
   */
  abort(): void;
}

/** How a child process ended: exactly one of the two is not null. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: string | null;
}

/** What to start and where its output goes. */
export interface SpawnOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** The complete environment of the child; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string | undefined;
  /** Where it returns a promise, nothing more is read of that output before it has resolved. */
  readonly onStdout: (chunk: Uint8Array) => unknown;
  readonly onStderr: (chunk: Uint8Array) => unknown;
  /**
   * Called once, after the last output callback. Where a process left behind in the background
   * still holds the pipes, after about 200 ms of silence (2 s at most) following the exit; its
   * later output is lost.
   */
  readonly onExit: (status: ExitStatus) => void;
}

/** A child process that leads its own process group. */
export interface ChildProcess {
  readonly pid: number;
  /**
   * Writes to stdin in order. Resolves when the pipe has taken it, rejects (`code` EPIPE) when the
   * pipe breaks, the process ends or {@link ChildProcess.endInput} was called before; it always
   * settles with the process, also for a child that never reads.
   */
  write(text: string): Promise<void>;
  /** Closes stdin after the writes before it, the polite way to ask a stdio server to stop. */
  endInput(): void;
  /**
   * Signals the whole process group, also what is left of it after the exit of its leader. Does
   * nothing when the group is gone or not ours to signal; it never throws.
   */
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

/** A unix datagram socket with a fixed receiver (syslog, systemd notify). */
export interface DatagramSocket {
  /**
   * Sends in order. Rejects with the system's `code` when nobody receives (`ENOENT`,
   * `ECONNREFUSED`) or the datagram is too big (`EMSGSIZE`). It waits while the receiver's queue is
   * full; keep the bytes unchanged, and bound the number of sends waiting.
   */
  send(data: Uint8Array): Promise<void>;
  /** Rejects the sends still waiting. */
  close(): void;
}

/** A signal the process can be told to act on. */
export type ProcessSignal = "SIGTERM" | "SIGINT" | "SIGHUP" | "SIGUSR1" | "SIGUSR2";

/** What {@link Runtime.request} takes; redirects are not followed. */
export interface TextRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** The whole runtime layer. */
export interface Runtime {
  readonly name: "deno" | "bun";
  readonly version: string;
  /** Rejects with a {@link ListenError} when the address cannot be had. */
  serve(options: ListenOptions): Promise<HttpServer>;
  /**
   * Starts a process in a process group of its own. Rejects with a {@link SpawnError} when it
   * cannot be started (no such command, not executable, no such working directory).
   *
   * The group does not outlive this process: it is killed when the process exits, and within about
   * two seconds of its death where the process could not do it (SIGKILL, a crash), though for that
   * a shell is needed (`node/guard.ts`). What leaves the group (`setsid`) is on its own.
   */
  spawn(options: SpawnOptions): Promise<ChildProcess>;
  /**
   * Opens a socket that sends to a file, or to an abstract address written with a leading `@` (as
   * in `NOTIFY_SOCKET`). Rejects with the system's `code` when the file is missing (`ENOENT`) or no
   * socket. Null where the runtime has no unix datagrams (Bun): the caller takes its other way.
   */
  openDatagram(path: string): Promise<DatagramSocket> | null;
  /**
   * Calls back at every change inside a directory, in bursts, with or without a file name; the
   * caller coalesces. A directory that is missing, or later removed, moved or replaced, is
   * reported through `onError` once, and the watch is over; nothing is thrown. From within
   * `onError` on, the place can be watched again.
   */
  watchDirectory(path: string, onChange: () => void, onError: (error: unknown) => void): Disposable;
  /**
   * What a `fetch` is for that has a limit of its own for the whole process (Bun: 256 at a time):
   * has none, and leads past no proxy. Undefined where `fetch` has no such limit, or proxies are set.
   */
  readonly request?: ((url: URL, init: TextRequest) => Promise<Response>) | undefined;
  /**
   * A body that reaches a server once, whatever becomes of the connection: Deno sends a text again
   * where one in use before is cut, and no stream. A blob, which is safe anywhere, without it.
   */
  readonly once?: ((text: string) => Blob | string) | undefined;
  /** Registers a handler and returns the function that removes it. */
  onSignal(signal: ProcessSignal, handler: () => void): () => void;
}

/** The address cannot be listened on; `code` is the system's, `EADDRINUSE` for one. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  constructor(message: string, readonly code: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** A process cannot be started; `code` is the system's (`ENOENT`, `EACCES`, …). */
export class SpawnError extends Error {
  override readonly name = "SpawnError";
  constructor(message: string, readonly code: string, options?: ErrorOptions) {
    super(message, options);
  }
}
