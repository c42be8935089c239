/** Where a login comes back to: a listener on loopback, and what a person pastes. */

import { runtime } from "#runtime";
import { failed } from "../../app/io.ts";
import { LineDecoder } from "../../lib/lines.ts";
import { messageOf } from "../../lib/text.ts";
import { within } from "../../lib/time.ts";
import type { HttpServer } from "../../runtime/types.ts";

/** How long a person has, in ms. */
const PATIENCE = 300_000;
/** Longest line that may be an address, in bytes. */
const LONGEST = 64 * 1024;

const TAKEN = "mcproxy has its answer: close this page, and go back to the terminal.\n";
const NOT_IT =
  "This is not the answer that mcproxy waits for: follow the address it printed last.\n";

/** Waits for the answer to one request for authorization; nobody else's is taken. */
export class Callback {
  /** Of the request: what comes back without it was not asked for by us. */
  readonly state = crypto.getRandomValues(new Uint8Array(24)).toBase64({ alphabet: "base64url" });
  readonly #answer = Promise.withResolvers<URLSearchParams>();

  #server: HttpServer | undefined;

  /** `redirect` is the address that the authorization server leads back to. */
  private constructor(readonly redirect: URL) {}

  /**
   * Listens at `fixed`, else at `before` or where that is taken at any port of loopback.
   * @throws {CliError} where it has to be `fixed`, and cannot be
   */
  static async listen(fixed: string | undefined, before?: string): Promise<Callback> {
    const redirect = new URL(fixed ?? before ?? "http://127.0.0.1:0/callback");
    const callback = new Callback(redirect);
    const hostname = redirect.hostname === "[::1]" ? "::1" : "127.0.0.1";
    const port = Number(redirect.port || 80);
    const handler = (request: Request) => callback.#respond(request);
    try {
      callback.#server = await runtime.serve({ hostname, port, handler, onError: () => {} });
    } catch (error) {
      if (fixed === undefined && before !== undefined) return await Callback.listen(undefined);
      const hint = 'End what listens there, or name another port by "redirect" in its "auth"';
      throw failed(messageOf(error), { hint });
    }
    if (fixed === undefined) redirect.port = String(callback.#server.port);
    return callback;
  }

  /**
   * What came back, by the listener or as a line of `input`; undefined after five minutes.
   * @param tell takes what a person who pastes should know
   */
  async answer(
    input: AsyncIterable<Uint8Array>,
    tell: (text: string) => void,
  ): Promise<URLSearchParams | undefined> {
    const decoder = new LineDecoder({
      limit: LONGEST,
      onLine: (line) => void (this.#take(URL.parse(line.trim())) || tell(NOT_IT)),
      onOverlong: () => tell(NOT_IT),
    });
    const read = async () => {
      for await (const chunk of input) decoder.push(chunk);
      decoder.end();
    };
    // Where there is no stdin, the listener is all there is.
    read().catch(() => {});
    let answer: URLSearchParams | undefined;
    await within(PATIENCE, this.#answer.promise.then((came) => answer = came));
    return answer;
  }

  /** Listens no more; what was answered last is sent to its end. */
  close(): void {
    void this.#server?.stop();
  }

  #respond({ method, url }: Request): Response {
    const asked = URL.parse(url);
    const isHere = method === "GET" && asked?.pathname === this.redirect.pathname;
    const isTaken = isHere && this.#take(asked);
    const headers = { "content-type": "text/plain", "cache-control": "no-store" };
    return new Response(isTaken ? TAKEN : NOT_IT, {
      status: isTaken ? 200 : isHere ? 400 : 404,
      headers: { ...headers, connection: "close" },
    });
  }

  #take(url: URL | null): boolean {
    const params = url?.searchParams;
    if (params?.get("state") !== this.state) return false;
    if (!params.get("code") && !params.get("error")) return false;
    this.#answer.resolve(params);
    return true;
  }
}
