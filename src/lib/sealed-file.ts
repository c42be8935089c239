/**
 * What the files have in common that are kept from one run to the next: one line with format, version
 * and digest, then the content.
 *
 *     mcproxy-lists 1 <SHA-256 of what follows, in hexadecimal>
 *
 * The digest finds what a disk or a broken copy has changed. It proves nothing about who wrote the
 * file, so every member of the content is to be checked as well.
 */

/** Which files are meant. */
export interface Seal {
  /** First word of the file. */
  readonly magic: string;
  /** What is in it, for messages: `lists`. */
  readonly content: string;
  /** Raised when the meaning of a file changes: older and newer files are then passed over. */
  readonly version: number;
}

/** The content of a file, or why it is not used, as the end of a sentence. */
export type Unsealed =
  | { readonly ok: true; readonly body: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly reason: string };

const MAX_HEAD = 128;
const NEW_LINE = 10;

/**
 * The SHA-256 in hexadecimal. Not through `node:crypto`, whose loading would cost a start more than
 * the whole cache does.
 */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The bytes of a file with this content. */
export async function seal(
  { magic, version }: Seal,
  body: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const head = new TextEncoder().encode(`${magic} ${version} ${await sha256(body)}\n`);
  const file = new Uint8Array(head.length + body.length);
  file.set(head);
  file.set(body, head.length);
  return file;
}

/** The content of a file, if it is whole. Never rejects, whatever the bytes are. */
export async function unseal(seal: Seal, file: Uint8Array<ArrayBuffer>): Promise<Unsealed> {
  const end = file.subarray(0, MAX_HEAD).indexOf(NEW_LINE);
  const head = new TextDecoder().decode(file.subarray(0, Math.max(end, 0))).split(" ");
  const [magic, version, digest] = head;
  if (magic !== seal.magic || head.length !== 3) {
    return { ok: false, reason: `found no ${seal.content} of mcproxy` };
  }
  if (version !== String(seal.version)) {
    return { ok: false, reason: `found format ${version}, expected ${seal.version}` };
  }
  const body = file.subarray(end + 1);
  return await sha256(body) === digest
    ? { ok: true, body }
    : { ok: false, reason: "found damaged or incomplete content" };
}
