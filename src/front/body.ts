import { joinBytes } from "../lib/bytes.ts";
import { Refusal } from "./refusal.ts";

/**
 * Reads a JSON request body as text.
 * @throws {Refusal} 415 for another content type, 413 beyond `limit` bytes
 */
export async function readBody(request: Request, limit: number): Promise<string> {
  const type = request.headers.get("content-type");
  if (type === null || !/^application\/json\s*(;|$)/i.test(type)) {
    throw new Refusal(415, "Unsupported media type: expected application/json");
  }
  const declared = request.headers.get("content-length");
  if (declared !== null) {
    // The server holds the client to what it declared, so there is nothing to count.
    if (Number(declared) > limit) throw tooLarge(limit);
    return await request.text();
  }
  return request.body === null ? "" : await readBounded(request.body, limit);
}

async function readBounded(body: ReadableStream<Uint8Array>, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) throw tooLarge(limit);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(joinBytes(chunks, size));
}

function tooLarge(limit: number): Refusal {
  return new Refusal(413, `Request body is larger than ${limit} bytes; see "bodyLimit"`);
}
