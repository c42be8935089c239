/** The runtime layer on Deno; `#runtime` in `package.json` leads here. */

import { stat, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { internalError, listenError, OPEN_ENDED, report, shuttingDown } from "./listen.ts";
import { onSignal } from "./node/process.ts";
import { spawn } from "./node/spawn.ts";
import { watchDirectory } from "./node/watch.ts";
import type { DatagramSocket, HttpServer, ListenOptions, Runtime } from "./types.ts";

/** The one {@link Runtime} of a process that runs on Deno. */
export const runtime: Runtime = {
  name: "deno",
  version: Deno.version.deno,
  serve,
  spawn,
  openDatagram,
  watchDirectory,
  onSignal,
  once: (text) => Once.of(text),
};

/** {@link Runtime.once} without the parts of a blob, which cost more than the rest of a request. */
class Once extends Blob {
  /** Whether a request takes the stream that is defined here; tried with the first body. */
  static #isAsked: boolean | undefined;
  override readonly size: number;

  private constructor(private readonly content: Uint8Array<ArrayBuffer>) {
    super();
    this.size = content.length;
  }

  static of(text: string): Blob {
    if (Once.#isAsked === undefined) {
      Once.#isAsked = false;
      new Request("http://localhost", { method: "POST", body: new Once(ENCODER.encode("{}")) });
    }
    return Once.#isAsked ? new Once(ENCODER.encode(text)) : new Blob([text]);
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    Once.#isAsked = true;
    return new Response(this.content).body!;
  }
}

const ENCODER = new TextEncoder();

/**
 * Counts what is being answered, because Deno cannot cut connections once its own graceful shutdown
 * has begun: aborting the serve signal then is an uncatchable `BadResource`, and there is no other
 * handle. So a stop first waits for the count to reach zero, while new requests get 503 and
 * {@link HttpServer.abort} still works, and only then asks Deno to shut down.
 */
class ActiveRequests {
  #count = 0;
  readonly #idle = Promise.withResolvers<void>();
  draining = false;

  readonly #done = (): void => {
    this.#count--;
    if (this.draining && this.#count === 0) this.#idle.resolve();
  };

  /** Counts a request until there is a response, and one that is open-ended until its end. */
  track(answer: Response | Promise<Response>, info: Deno.ServeHandlerInfo): typeof answer {
    this.#count++;
    if (answer instanceof Promise) answer.then((given) => this.#given(given, info), this.#done);
    else this.#given(answer, info);
    return answer;
  }

  /** To ask `completed` for each costs more than all else here; that it rejects means an end, too. */
  #given(response: Response, info: Deno.ServeHandlerInfo): void {
    if (OPEN_ENDED.has(response)) info.completed.then(this.#done, this.#done);
    else this.#done();
  }

  drained(): Promise<void> {
    this.draining = true;
    if (this.#count === 0) this.#idle.resolve();
    return this.#idle.promise;
  }
}

/** {@link Runtime.serve} on Deno. */
export function serve(options: ListenOptions): Promise<HttpServer> {
  // A taken port is a rejection on both runtimes; Deno.serve throws.
  return Promise.try(() => listen(options));
}

function listen({ hostname, port, handler, onError }: ListenOptions): HttpServer {
  const active = new ActiveRequests();
  const cut = new AbortController();
  const open = (port: number) => {
    try {
      return Deno.serve({
        hostname,
        port,
        signal: cut.signal,
        automaticCompression: false,
        onListen() {}, // the default prints a banner on stdout, where JSON-RPC may be spoken
        onError(error) {
          report(onError, error);
          return internalError();
        },
      }, (request, info) => {
        if (active.draining) return shuttingDown();
        return active.track(handler(request, info), info);
      });
    } catch (error) {
      throw listenError(hostname, port, error);
    }
  };
  return new DenoServer(open, open(port), active, cut, onError);
}

/** Milliseconds between attempts to listen again. */
const LISTEN_AGAIN = 500;

class DenoServer implements HttpServer {
  readonly hostname: string;
  readonly port: number;
  readonly #aborted = Promise.withResolvers<void>();
  readonly #finished: Promise<void>;
  #stopped: Promise<void> | undefined;
  #shutdownBegun = false;

  constructor(
    private readonly open: (port: number) => Deno.HttpServer<Deno.NetAddr>,
    private server: Deno.HttpServer<Deno.NetAddr>,
    private readonly active: ActiveRequests,
    private readonly cut: AbortController,
    private readonly onError: ListenOptions["onError"],
  ) {
    this.hostname = server.addr.hostname;
    this.port = server.addr.port;
    this.#finished = this.#keepListening();
  }

  /** A listener that cannot accept, for want of file descriptors, is gone for good: another follows. */
  async #keepListening(): Promise<void> {
    for (let isLost = false;; isLost = true) {
      try {
        if (isLost) this.server = this.open(this.port);
        return await this.server.finished;
      } catch (error) {
        report(this.onError, new Error("Cannot take connections, trying again", { cause: error }));
      }
      await new Promise((resolve) => setTimeout(resolve, LISTEN_AGAIN));
      if (this.#stopped !== undefined || this.cut.signal.aborted) return;
    }
  }

  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    await Promise.race([this.active.drained(), this.#aborted.promise]);
    if (this.cut.signal.aborted) return await this.#finished;
    this.#shutdownBegun = true;
    // What can still be open is a whole answer on its way to a client that does not read.
    await Promise.race([this.server.shutdown(), this.#aborted.promise]);
  }

  abort(): void {
    this.active.draining = true;
    if (!this.#shutdownBegun) this.cut.abort();
    this.#aborted.resolve();
  }
}

interface Datagram {
  readonly data: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * {@link Runtime.openDatagram} on Deno (`--unstable-net`). `path` is a file, or an abstract address written with a
 * leading `@` (as in `NOTIFY_SOCKET`) or NUL. Rejects with the system's code where the file is
 * missing or no socket; the receiver itself may come and go, each datagram finds it anew.
 */
export async function openDatagram(path: string): Promise<DatagramSocket> {
  const abstract = path.startsWith("@") || path.startsWith("\0");
  if (!abstract && !(await stat(path)).isSocket()) {
    const message = `Cannot send datagrams to "${path}": it is no socket; expected a unix socket`;
    throw Object.assign(new Error(message), { code: "ENOTSOCK" });
  }
  const target = abstract ? `\0${path.slice(1)}` : path;
  return new DenoDatagramSocket(await bindLocal(), target);
}

/** Deno can only send from a bound socket, so it needs an address nobody will ever use. */
async function bindLocal(): Promise<Deno.DatagramConn> {
  if (Deno.build.os === "linux") {
    // An empty path is the kernel's autobind: an abstract address, and no file to leave behind.
    return Deno.listenDatagram({ transport: "unixpacket", path: "" });
  }
  const path = join(tmpdir(), `mcproxy-${crypto.randomUUID().slice(0, 8)}.sock`);
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  await unlink(path);
  return socket;
}

/** Sends one datagram at a time: a second send in flight is `Busy` on Deno. */
class DenoDatagramSocket implements DatagramSocket {
  readonly #target: Deno.UnixAddr;
  readonly #queue: Datagram[] = [];
  #sending = false;
  #closed = false;

  constructor(private readonly socket: Deno.DatagramConn, target: string) {
    this.#target = { transport: "unixpacket", path: target };
  }

  send(data: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closedError());
    return new Promise((resolve, reject) => {
      this.#queue.push({ data, resolve, reject });
      if (!this.#sending) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#sending = true;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      try {
        await this.socket.send(next.data, this.#target);
        next.resolve();
      } catch (error) {
        next.reject(error);
      }
      this.#queue.shift();
    }
    this.#sending = false;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.socket.close();
    // A send to a receiver whose queue is full outlives the close, so it is settled here.
    const error = this.#closedError();
    for (const waiting of this.#queue.splice(0)) waiting.reject(error);
  }

  #closedError(): Error {
    const to = this.#target.path.replace("\0", "@");
    return new Error(`Cannot send to "${to}": the socket is closed; expected an open one`);
  }
}
