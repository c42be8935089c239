/** The keys that pages are opened with: in memory, and for no longer than whoever has asked for one. */

import { newKey } from "../../lib/secrets.ts";
import type { Admission } from "../../protocol/exchange.ts";
import { digestOf, Pass, remember } from "./admission.ts";

/** What they let in by, by their digests. */
export type PageKeys = Map<string, Pass>;

/** How long one holds, ms. */
const LIFETIME = 12 * 3_600_000;

/** Lets in as whoever has asked for it. */
class PagePass extends Pass {
  constructor(private readonly asked: Admission, until: number) {
    super(asked.principal, until);
  }

  override holds(now: number): boolean {
    return super.holds(now) && this.asked.holds(now);
  }
}

/** A new key for whoever was admitted, and when it ends; ms since the epoch. */
export function issuePageKey(keys: PageKeys, asked: Admission, now: number = Date.now()) {
  const [key, expiresAt] = [newKey(), now + LIFETIME];
  remember(keys, digestOf(key), new PagePass(asked, expiresAt));
  return { key, expiresAt };
}
