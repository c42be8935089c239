/** Spans of time as people read them: one unit, the largest that says something. */

/** `0s`, `59s`, `12m`, `3h`, `40h`, `2d` for milliseconds; a negative span (a clock apart) is `0s`. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000)) || 0;
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}
