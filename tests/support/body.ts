import type { IncomingMessage } from "node:http";

/**
 * The body of a request as text, or undefined when the client went away before it had sent all of
 * it. A client may go at any time (a command that has what it needs exits), and a fake server that
 * took that for a failure of its own would fail whichever test is running.
 */
export async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  let body = "";
  try {
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
  } catch {
    return undefined;
  }
  return body;
}
