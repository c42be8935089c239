import type { Server } from "./server.ts";

/** What a session is told of changed lists. */
export interface ListChanges extends Disposable {
  /** When the next `tools/list_changed` arrived that no earlier call has waited for, ms. */
  next(): Promise<number>;
}

/** Longest wait for an announcement, ms. */
const PATIENCE = 20_000;

const CHANGED = "notifications/tools/list_changed";

/** Opens the GET stream of a session. @throws {Error} where there is none */
export async function listChanges(server: Server, session: string): Promise<ListChanges> {
  const abort = new AbortController();
  const response = await fetch(`${server.base}/mcp`, {
    headers: {
      accept: "text/event-stream",
      "mcp-session-id": session,
      "mcp-protocol-version": "2025-11-25",
    },
    signal: abort.signal,
  });
  if (response.status !== 200 || response.body === null) {
    throw new Error(`Cannot listen for changes: HTTP ${response.status}`);
  }
  const arrived: number[] = [];
  let wake = () => {};
  const reading = read(response.body, () => {
    arrived.push(performance.now());
    wake();
  }).catch(() => {}); // The end of the measurement aborts it.
  return {
    next: async () => {
      const overdue = setTimeout(() => abort.abort(), PATIENCE);
      try {
        while (arrived.length === 0) {
          if (abort.signal.aborted) {
            throw new Error(`Cannot measure a reload: no list_changed within ${PATIENCE} ms`);
          }
          const woken = Promise.withResolvers<void>();
          wake = woken.resolve;
          await Promise.race([woken.promise, reading]);
        }
        return arrived.shift()!;
      } finally {
        clearTimeout(overdue);
      }
    },
    [Symbol.dispose]: () => abort.abort(),
  };
}

async function read(body: ReadableStream<Uint8Array>, onChange: () => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line.includes(CHANGED)) onChange();
  }
}
