/** Foreign text on its way to a terminal. */

/**
 * Text without control characters: a server's description must not move the cursor, change the
 * title or hide a line. Line ends become spaces unless `lines` keeps them.
 */
export function printable(text: string, { lines = false }: { readonly lines?: boolean } = {}) {
  const unified = text.replace(/\r\n?/g, "\n");
  // deno-lint-ignore no-control-regex
  const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  const clean = unified.replace(controls, "");
  return lines ? clean : clean.replace(/[\n\t]+/g, " ");
}

/** The first line that says something, printable. */
export function firstLine(text: string): string {
  const line = text.split(/\r\n?|\n/).find((candidate) => candidate.trim() !== "");
  return printable(line ?? "").trim();
}

let segmenter: Intl.Segmenter | undefined;

/**
 * Made when it is first needed: on Deno it costs 10 to 18 ms, which a start without a terminal
 * would pay for nothing.
 */
function graphemes(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter();
  return segmenter.segment(text);
}

/** Cells a terminal needs for printable text; emoji and East Asian wide characters take two. */
export function widthOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes(text)) width += isWide(segment) ? 2 : 1;
  return width;
}

function isWide(segment: string): boolean {
  return /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u
    .test(segment);
}

/** The text cut to `width` cells, with an ellipsis where something was cut. */
export function fit(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width < 1) return "";
  let out = "";
  let used = 1;
  for (const { segment } of graphemes(text)) {
    used += isWide(segment) ? 2 : 1;
    if (used > width) break;
    out += segment;
  }
  return `${out}…`;
}
