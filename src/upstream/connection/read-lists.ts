import type { Inventory, ListKind } from "../../protocol/lists.ts";
import type { Connection } from "./connection.ts";
import { type InventoryResult, readInventory } from "./inventory.ts";

/** How lists are read over a connection. */
export interface ReadOptions {
  /** What is known of them, kept where nothing has changed. */
  readonly previous: Inventory | undefined;
  /** Only these; all when absent. */
  readonly kinds?: ReadonlySet<ListKind>;
  /** For one page, in ms. */
  readonly timeout: number;
  readonly signal?: AbortSignal;
}

/** Reads what a server offers over its connection; see `readInventory()`. Never rejects. */
export function readLists(
  connection: Connection,
  { timeout, signal, ...options }: ReadOptions,
): Promise<InventoryResult> {
  const { era, transport, handshake } = connection;
  return readInventory({
    ...options,
    handshake,
    // Modern requests over HTTP repeat parts of themselves in headers.
    usesHeaders: era === "modern" && transport === "http",
    request: (method, params) => connection.request(method, params, { signal, timeout }),
  });
}
