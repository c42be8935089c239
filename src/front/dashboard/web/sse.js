// @ts-check
/// <reference lib="dom" />
/** Reading what a response sends bit by bit. */

/**
 * @param {ReadableStream<Uint8Array> | null} body @param {number} [most] characters in all
 * @returns {AsyncGenerator<string>}
 */
export async function* textsOf(body, most = Infinity) {
  let left = most;
  const decoder = new TextDecoder();
  const reader = body?.getReader();
  for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
    const text = decoder.decode(part.value, { stream: true });
    if ((left -= text.length) < 0) throw new Error("The answer is too long: 64 MB");
    yield text;
  }
}

/**
 * The events of a stream, by topic. @param {ReadableStream<Uint8Array> | null} body @param {number} [most]
 * @returns {AsyncGenerator<{topic: string, data: string}>}
 */
export async function* eventsOf(body, most) {
  let rest = "";
  for await (const text of textsOf(body, most)) {
    rest += text;
    // Looked for where something ends only, or a long event takes for ever.
    if (!text.includes("\n")) continue;
    const events = rest.split(/\r?\n\r?\n/);
    rest = events.pop() ?? "";
    for (const event of events) {
      const field = (/** @type {string} */ name) =>
        event.split(/\r?\n/).filter((line) => line.startsWith(name))
          .map((line) => line.slice(name.length)).join("\n");
      const data = field("data:");
      if (data !== "") yield { topic: field("event:").trim(), data };
    }
  }
}
