/** Roots as the file gives them: paths, `file://` URIs, or objects with a name. */

/** A directory or file an upstream may take as its ground (client/roots 2025-11-25). */
export interface Root {
  /** A `file://` URI; the protocol knows no other. */
  readonly uri: string;
  readonly name?: string;
}

/** What {@link rootUri} accepts, as the second half of a sentence. */
export const ROOT_HINT = 'an absolute path such as "/home/me/project", or a "file://" URI';

/**
 * The URI of an absolute path, a URI as it is, `undefined` for anything else. A relative path is
 * no root: relative to what would depend on who starts the gateway.
 */
export function rootUri(text: string): string | undefined {
  if (text.startsWith("file://")) return URL.canParse(text) ? text : undefined;
  if (/^[A-Za-z]:[\\/]/.test(text)) return `file:///${encodePath(text.replaceAll("\\", "/"))}`;
  return text.startsWith("/") ? `file://${encodePath(text)}` : undefined;
}

function encodePath(path: string): string {
  return encodeURI(path.toWellFormed()).replaceAll("?", "%3F").replaceAll("#", "%23");
}
