/** One hostile HTTP request as plain JSON, so that what was found can be kept in a corpus file. */

import { readFileSync } from "node:fs";

/** A piece of a body: text, a text many times over, or bytes. */
export type Part =
  | string
  | { readonly repeat: string; readonly times: number }
  | { readonly base64: string };

/** A request. In path and headers `$SESSION` is a live Streamable HTTP session, `$SSE` an SSE one. */
export interface HttpInput {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: readonly Part[];
}

/** A corpus entry: what it is about, and the input itself. */
export interface Kept<Input> {
  readonly name: string;
  readonly input: Input;
}

/** The kept inputs of one kind, replayed before anything is generated. */
export function corpus<Input>(file: string): readonly Kept<Input>[] {
  return JSON.parse(readFileSync(new URL(`./corpus/${file}`, import.meta.url), "utf8"));
}

/** The bytes a body stands for. */
export function bytesOf(parts: readonly Part[]): Uint8Array<ArrayBuffer> {
  const chunks = parts.map((part) => {
    if (typeof part === "string") return Buffer.from(part, "utf8");
    if ("base64" in part) return Buffer.from(part.base64, "base64");
    return Buffer.from(part.repeat.repeat(part.times), "utf8");
  });
  return new Uint8Array(Buffer.concat(chunks));
}
