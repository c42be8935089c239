/** The text of one response on its way to a client; bytes where they are cheaper to send. */
export type Reply = string | Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The reply as text, for transports that write text. */
export function replyText(reply: Reply): string {
  return typeof reply === "string" ? reply : decoder.decode(reply);
}

/** A text that comes as bytes too, whichever is cheaper to send. */
export interface SplicedBody {
  readonly text: string;
  readonly isNarrow: boolean;
  bytes(): Uint8Array;
}

/** `head` + `body` + `tail`: a string while one byte a character will do, else one buffer. */
export function spliced(head: string, body: SplicedBody, tail: string): Reply {
  return body.isNarrow ? head + body.text + tail : splicedBytes(head, body.bytes(), tail);
}

function splicedBytes(head: string, body: Uint8Array, tail: string): Uint8Array<ArrayBuffer> {
  const first = encoder.encode(head);
  const last = encoder.encode(tail);
  const all = new Uint8Array(first.length + body.length + last.length);
  all.set(first);
  all.set(body, first.length);
  all.set(last, first.length + body.length);
  return all;
}
