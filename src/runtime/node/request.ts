/** A request over HTTP for which `fetch` lacks an option, through `node:http` on both runtimes. */

import type { LookupFunction } from "node:net";
import { Readable } from "node:stream";
import type { TextRequest } from "../types.ts";

/** What {@link nodeRequest} takes. */
export interface NodeRequest extends TextRequest {
  /** Where a name leads, where that is not asked of the system. */
  readonly lookup?: LookupFunction;
}

/** What answers there, over a connection of its own and past any proxy; redirects are not followed. */
export async function nodeRequest(
  url: URL,
  { body, headers, ...init }: NodeRequest,
): Promise<Response> {
  const { request } = url.protocol === "https:"
    ? await import("node:https")
    : await import("node:http");
  const options = { ...init, agent: false, headers: { ...headers, "accept-encoding": "identity" } };
  return await new Promise((resolve, reject) => {
    const asked = request(url, options, (answer) => {
      const { statusCode = 502, rawHeaders } = answer;
      // What no response may have is thrown where nobody catches it.
      const status = statusCode < 200 || statusCode > 599 ? 502 : statusCode;
      const headers = new Headers();
      for (let at = 0; at < rawHeaders.length; at += 2) {
        headers.append(rawHeaders[at]!, rawHeaders[at + 1]!);
      }
      const hasBody = ![204, 205, 304].includes(status);
      if (!hasBody) answer.resume();
      const stream = hasBody ? Readable.toWeb(answer) as ReadableStream<Uint8Array> : null;
      resolve(new Response(stream, { status, headers }));
    });
    asked.on("upgrade", (_, socket) => {
      socket.destroy();
      reject(new Error("closed, with another protocol offered"));
    });
    asked.on("error", reject);
    asked.end(body);
  });
}
