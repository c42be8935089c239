import { internalError, report, shuttingDown } from "../../src/runtime/listen.ts";
import type { HttpServer, ListenOptions } from "../../src/runtime/types.ts";

/** An HTTP server without a network, for tests. */

/** Chunks of an answer that leave the server before the client reads them. */
const BUFFERED_CHUNKS = 64;

/** What a {@link ListenOptions.handler} is served by: tests call {@link FakeServer.fetch}. */
export class FakeServer implements HttpServer {
  readonly hostname: string;
  readonly port: number;
  /** Requests whose answer has not ended. */
  active = 0;
  /** Set when the address is free again. */
  closed = false;

  readonly #options: ListenOptions;
  readonly #aborted = new AbortController();
  readonly #idle = Promise.withResolvers<void>();
  #draining = false;

  constructor(port: number, options: ListenOptions) {
    this.hostname = options.hostname;
    this.port = port;
    this.#options = options;
  }

  /** Sends a request as a client would. Its signal is the request's own. */
  async fetch(request: Request): Promise<Response> {
    if (this.closed) throw new TypeError(`Cannot reach port ${this.port}: nobody listens`);
    if (this.#draining) return shuttingDown();
    this.active++;
    const cut = Promise.withResolvers<never>();
    const onAbort = (): void => cut.reject(new TypeError("Connection was cut"));
    this.#aborted.signal.addEventListener("abort", onAbort, { once: true });
    const done = (): void => {
      this.#aborted.signal.removeEventListener("abort", onAbort);
      this.#ended();
    };
    try {
      const response = await Promise.race([this.#handle(request), cut.promise]);
      if (response.body !== null) return this.#tracked(response, done);
      done();
      return response;
    } catch (error) {
      done();
      throw error;
    }
  }

  stop(): Promise<void> {
    this.#draining = true;
    if (this.active === 0) this.#close();
    return this.#idle.promise;
  }

  abort(): void {
    this.#draining = true;
    this.#aborted.abort();
    this.#close();
  }

  async #handle(request: Request): Promise<Response> {
    try {
      return await this.#options.handler(request);
    } catch (error) {
      report(this.#options.onError, error);
      return internalError();
    }
  }

  /** The same response with a body that tells when it has ended, and that abort() can cut. */
  #tracked(response: Response, done: () => void): Response {
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const aborted = this.#aborted.signal;
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      aborted.removeEventListener("abort", onAbort);
      done();
    };
    let onAbort = (): void => {};
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        onAbort = () => {
          end();
          controller.error(new TypeError("Connection was cut"));
          // The producer learns of it as from a network; what it throws then is nobody's concern.
          reader.cancel("Connection was cut").catch(() => {});
        };
        aborted.addEventListener("abort", onAbort, { once: true });
      },
      async pull(controller) {
        try {
          const { done: finished, value } = await reader.read();
          if (over) return;
          if (!finished) return controller.enqueue(value);
          end();
          controller.close();
        } catch (error) {
          end();
          controller.error(error);
        }
      },
      async cancel(reason) {
        end();
        await reader.cancel(reason);
      },
      // A network takes an answer, also when the client does not look at it.
    }, { highWaterMark: BUFFERED_CHUNKS });
    return new Response(body, response);
  }

  #ended(): void {
    this.active--;
    if (this.#draining && this.active === 0) this.#close();
  }

  #close(): void {
    this.closed = true;
    this.#idle.resolve();
  }
}
