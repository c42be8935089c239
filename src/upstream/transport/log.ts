/** Structured fields of one log line; values must be plain data. */
export type LogProps = Record<string, unknown>;

/**
 * Where an upstream writes its log lines. A LogTape logger fits through a four-line adapter; tests
 * hand in a recorder.
 */
export interface UpstreamLog {
  debug(message: string, props?: LogProps): void;
  info(message: string, props?: LogProps): void;
  warn(message: string, props?: LogProps): void;
  error(message: string, props?: LogProps): void;
}

/** The first characters of foreign text, for a log line: control characters shown, length bounded. */
export function snippet(text: string, length = 200): string {
  const head = text.length > length ? `${text.slice(0, length)}…` : text;
  // deno-lint-ignore no-control-regex
  return head.replace(/[\x00-\x1f\x7f]/g, " ");
}
