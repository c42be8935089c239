import type { CancelSignal } from "../../lib/cancel.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import type { Client } from "../../protocol/exchange.ts";
import { cannotAnswer } from "../../protocol/inputs.ts";
import { notification, request, type ResponseMessage } from "../../protocol/message.ts";
import type { Outlet } from "./exchange.ts";

/** How long a person may take to answer, milliseconds. */
export const ASK_TIMEOUT = 10 * 60_000;

interface Pending {
  readonly settle: (outcome: ResponseMessage | RpcError) => void;
}

/**
 * The requests the gateway has put to one legacy client on behalf of its upstreams. Ids are the
 * gateway's own, so that two upstreams that count alike never meet.
 */
export class Asks {
  readonly #pending = new Map<number, Pending>();
  #count = 0;

  /** How many wait for the client. */
  get size(): number {
    return this.#pending.size;
  }

  /**
   * Puts a request to the client on `outlet` and waits for the answer.
   * @throws {RpcError} when the client cannot be asked this, does not answer in time, or `signal`
   * aborts; the client is told that the request is off
   */
  ask(
    client: Client,
    outlet: Outlet,
    method: string,
    paramsText: string | undefined,
    signal: CancelSignal,
  ): Promise<ResponseMessage> {
    const params = paramsText === undefined ? undefined : JSON.parse(paramsText) as JsonObject;
    const refusal = cannotAnswer(
      client.capabilities,
      method,
      isObject(params) ? params : undefined,
    );
    if (refusal !== undefined) return Promise.reject(refusal);
    const id = ++this.#count;
    const { promise, resolve, reject } = Promise.withResolvers<ResponseMessage>();
    const giveUp = (why: string) => {
      if (!this.#pending.has(id)) return;
      outlet.send(
        notification("notifications/cancelled", JSON.stringify({ requestId: id, reason: why })),
      );
      this.#pending.get(id)?.settle(new RpcError(ErrorCode.InternalError, `Not answered: ${why}`));
    };
    const timer = setTimeout(() => giveUp("the client took too long"), ASK_TIMEOUT);
    const onAbort = () => giveUp("the call was cancelled");
    signal.addEventListener("abort", onAbort);
    this.#pending.set(id, {
      settle: (outcome) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        this.#pending.delete(id);
        if (outcome instanceof RpcError) reject(outcome);
        else resolve(outcome);
      },
    });
    outlet.send(request(String(id), method, paramsText));
    if (signal.aborted) onAbort();
    return promise;
  }

  /** Hands over a response of the client; false when nothing waits for it. */
  answer(response: ResponseMessage): boolean {
    const pending = typeof response.id === "number" ? this.#pending.get(response.id) : undefined;
    pending?.settle(response);
    return pending !== undefined;
  }

  /** The client is gone: nothing will be answered any more. */
  close(): void {
    for (const { settle } of [...this.#pending.values()]) {
      settle(new RpcError(ErrorCode.InternalError, "Not answered: the client has gone"));
    }
  }
}
