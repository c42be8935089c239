import { editJson } from "../../lib/json-edit.ts";
import { ErrorCode, RpcError, toRpcError } from "../../protocol/errors.ts";
import {
  errorResponse,
  idKey,
  idTextOf,
  type RequestId,
  type RequestMessage,
} from "../../protocol/message.ts";

/**
 * Gets the answer to a request of the upstream: the text of a response, under any id. `signal`
 * aborts when the upstream does not want it any more.
 */
export type Answerer = (signal: AbortSignal) => Promise<string>;

/** The requests an upstream has put to its client and that are not answered yet. */
export class Questions {
  readonly #open = new Map<string, AbortController>();
  readonly #post: (raw: string) => void;

  /** `post` sends a response to the upstream. */
  constructor(post: (raw: string) => void) {
    this.#post = post;
  }

  /** How many wait. */
  get size(): number {
    return this.#open.size;
  }

  /** Sends the answer as soon as `answer` has it; what that rejects with becomes an error. */
  async put(message: RequestMessage, answer: Answerer): Promise<void> {
    const key = idKey(message.id);
    const idText = idTextOf(message);
    if (this.#open.has(key)) {
      const error = new RpcError(
        ErrorCode.InvalidRequest,
        `Invalid request: id ${idText} is already in flight`,
      );
      return this.#post(errorResponse(idText, error));
    }
    const abort = new AbortController();
    this.#open.set(key, abort);
    let raw: string;
    try {
      raw = editJson(await answer(abort.signal), [{ path: ["id"], value: idText }]);
    } catch (error) {
      raw = errorResponse(idText, toRpcError(error));
    }
    // Taken back meanwhile: such a request must not be answered (utilities/cancellation).
    if (this.#open.get(key) !== abort) return;
    this.#open.delete(key);
    this.#post(raw);
  }

  /** The upstream takes one back; false for an id that is not open. */
  cancel(id: RequestId): boolean {
    const key = idKey(id);
    const abort = this.#open.get(key);
    this.#open.delete(key);
    abort?.abort(new Error("The server took the request back"));
    return abort !== undefined;
  }

  /** The upstream is gone. */
  close(): void {
    const all = [...this.#open.values()];
    this.#open.clear();
    for (const abort of all) abort.abort(new Error("The server is gone"));
  }
}
