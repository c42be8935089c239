import { connect } from "node:net";
import { within } from "../inbox.ts";

/**
 * Sends bytes as they are to a loopback port and returns everything that comes back; for requests
 * no HTTP client will write (a foreign Host, a broken head). `text` must ask for `Connection:
 * close`, or the wait fails.
 */
export function rawHttp(port: number, text: string): Promise<string> {
  const answer = new Promise<string>((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let all = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      all += chunk;
    });
    // A server that refuses a body early may reset the connection after its answer.
    socket.once("error", (error) => all === "" ? reject(error) : resolve(all));
    socket.once("close", () => resolve(all));
    socket.write(text);
  });
  return within(answer, "a raw HTTP exchange");
}

/** The status code of a raw HTTP answer, 0 where there is none. */
export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1] ?? 0);
}
