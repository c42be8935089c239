import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Client, Exchange } from "../protocol/exchange.ts";
import type { RequestMessage, ResponseMessage } from "../protocol/message.ts";

/** Where messages to a client go: a response stream, a session stream, stdout. */
export interface Outlet {
  /** Hands over one message (JSON text). Never throws and never waits; a closed outlet drops it. */
  send(raw: string): void;
}

let count = 0;

/** A short id for log lines, unique in this process. */
export function nextRid(): string {
  return (++count).toString(36).padStart(4, "0");
}

/** The {@link Exchange} of both eras; they differ in who aborts it and in how `ask` is answered. */
export class ActiveExchange implements Exchange {
  readonly rid = nextRid();
  readonly #abort = new AbortController();
  readonly #outlet: Outlet;
  #ended = false;

  constructor(readonly client: Client, readonly request: RequestMessage, outlet: Outlet) {
    this.#outlet = outlet;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  notify(raw: string): void {
    if (!this.#ended) this.#outlet.send(raw);
  }

  ask(method: string, _paramsText: string | undefined): Promise<ResponseMessage> {
    // Nothing upstream is told of a client capability yet, so an honest server never asks.
    return Promise.reject(
      new RpcError(ErrorCode.MethodNotFound, `Method not found: "${method}" is not supported yet`),
    );
  }

  /** The client does not want the answer any more; `reason` goes to the log. */
  cancel(reason: string): void {
    if (!this.#ended) this.#abort.abort(new Error(reason));
  }

  /** The answer is on its way: whatever comes later about this request is dropped. */
  end(): void {
    this.#ended = true;
  }
}
