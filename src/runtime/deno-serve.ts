/** The HTTP listener on Deno. */

import { internalError, listenError, peerAddress, report, shuttingDown } from "./listen.ts";
import type { ConnectionInfo, HttpServer, ServeOptions } from "./types.ts";

/** Reads the peer's address only when somebody asks: it costs a call into the runtime. */
class DenoConnection implements ConnectionInfo {
  readonly #info: Deno.ServeHandlerInfo<Deno.NetAddr>;
  constructor(info: Deno.ServeHandlerInfo<Deno.NetAddr>) {
    this.#info = info;
  }
  get remoteAddress(): string {
    try {
      return peerAddress(this.#info.remoteAddr.hostname);
    } catch {
      return ""; // the request is over
    }
  }
}

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

  // One closure for all requests: nothing but the promise of Deno itself is made per request.
  readonly #done = (): void => {
    this.#count--;
    if (this.draining && this.#count === 0) this.#idle.resolve();
  };

  /** `completed` also rejects, for a response that was not taken; both mean it is over. */
  track(completed: Promise<void>): void {
    this.#count++;
    completed.then(this.#done, this.#done);
  }

  drained(): Promise<void> {
    this.draining = true;
    if (this.#count === 0) this.#idle.resolve();
    return this.#idle.promise;
  }
}

/** {@link Runtime.serve} on Deno. */
export function serve(options: ServeOptions): Promise<HttpServer> {
  // A taken port is a rejection on both runtimes; Deno.serve throws.
  return Promise.try(() => listen(options));
}

function listen(options: ServeOptions): HttpServer {
  const { hostname, port, handler, onError } = options;
  const active = new ActiveRequests();
  const cut = new AbortController();
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({
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
      active.track(info.completed);
      return handler(request, new DenoConnection(info));
    });
  } catch (error) {
    throw listenError(hostname, port, error);
  }
  return new DenoServer(server, active, cut);
}

class DenoServer implements HttpServer {
  readonly hostname: string;
  readonly port: number;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #active: ActiveRequests;
  readonly #cut: AbortController;
  readonly #aborted = Promise.withResolvers<void>();
  #stopped: Promise<void> | undefined;
  #shutdownBegun = false;

  constructor(
    server: Deno.HttpServer<Deno.NetAddr>,
    active: ActiveRequests,
    cut: AbortController,
  ) {
    this.#server = server;
    this.#active = active;
    this.#cut = cut;
    this.hostname = server.addr.hostname;
    this.port = server.addr.port;
  }

  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    await Promise.race([this.#active.drained(), this.#aborted.promise]);
    if (this.#cut.signal.aborted) return await this.#server.finished;
    this.#shutdownBegun = true;
    // What can still be open is a whole answer on its way to a client that does not read.
    await Promise.race([this.#server.shutdown(), this.#aborted.promise]);
  }

  abort(): void {
    this.#active.draining = true;
    if (!this.#shutdownBegun) this.#cut.abort();
    this.#aborted.resolve();
  }
}
