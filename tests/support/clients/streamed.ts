import { request } from "node:http";
import { Inbox } from "../inbox.ts";
import { type Received, received } from "./message.ts";
import { parseEvent } from "./sse.ts";

/** An answer that is read as it comes, and can be hung up on. */
export interface Streamed {
  readonly status: number;
  /** The messages of an event stream, or the one of a JSON body. */
  readonly messages: Inbox<Received>;
  /** Data of events that are no messages (`endpoint`). */
  readonly events: Inbox<string>;
  /** Cuts the connection. */
  close(): void;
}

/**
 * Sends one request over `node:http`. Not `fetch`: on Deno 2.9 an aborted one may leave its
 * connection open, and here hanging up is what is tested.
 */
export function streamed(
  url: string,
  { method = "GET", headers, body }: {
    readonly method?: string;
    readonly headers: Record<string, string>;
    readonly body?: string;
  },
): Promise<Streamed> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, agent: false }, (response) => {
      const what = `${method} ${url} (${response.statusCode})`;
      const messages = new Inbox<Received>(what);
      const events = new Inbox<string>(`events of ${what}`);
      const end = (reason: string) => {
        messages.end(reason);
        events.end(reason);
      };
      const isStream = /^text\/event-stream/.test(response.headers["content-type"] ?? "");
      let rest = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        rest += chunk;
        const blocks = isStream ? rest.split("\n\n") : [rest];
        rest = blocks.pop()!;
        for (const { event, data } of blocks.map(parseEvent)) {
          if (data === undefined || data === "") continue;
          if (event === undefined || event === "message") messages.push(received(data));
          else events.push(data);
        }
      });
      response.on("end", () => {
        if (!isStream && rest !== "") messages.push(received(rest));
        end("end of the answer");
      });
      response.on("close", () => end("cut"));
      response.on("error", (error) => end(`broken: ${error}`));
      const close = () => {
        end("closed by the test");
        asked.destroy();
      };
      resolve({ status: response.statusCode!, messages, events, close });
    });
    asked.on("error", reject);
    asked.end(body);
  });
}
