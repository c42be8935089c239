/**
 * Waits for `promise`, at most `limit` milliseconds. What it resolves with, or that it did not, is
 * the caller's to find out; a rejection is passed on.
 */
export async function within(limit: number, promise: Promise<unknown>): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limit);
  try {
    await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}
