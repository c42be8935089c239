/**
 * The text of one response on its way to a client. Lists are bytes already, so that a cached list
 * costs a copy and no encoding.
 */
export type Reply = string | Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The reply as text, for transports that write text. */
export function replyText(reply: Reply): string {
  return typeof reply === "string" ? reply : decoder.decode(reply);
}

/** `head` + `body` + `tail` as one buffer, `body` being encoded already. */
export function spliced(head: string, body: Uint8Array, tail: string): Uint8Array<ArrayBuffer> {
  const first = encoder.encode(head);
  const last = encoder.encode(tail);
  const all = new Uint8Array(first.length + body.length + last.length);
  all.set(first);
  all.set(body, first.length);
  all.set(last, first.length + body.length);
  return all;
}
