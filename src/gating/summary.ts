/** What of a text fits on one line. */

/** Most characters of a line about a tool or a server. */
const LONGEST = 160;

/** A first sentence of fewer characters says too little; the next one joins it. */
const SHORT = 40;

/** Looked at of texts that may be megabytes. */
const LONGEST_READ = 2_000;

/** The end of a sentence. An abbreviation is taken for one, too; {@link SHORT} mostly heals that. */
const END = /[.!?](?=\s+["'“(\[`]?[\p{Lu}\p{Lo}\d])|[。！？]|\n\s*\n|\n(?=\s*[-*#\d])/gu;

/**
 * The beginning of a text as one line: its first sentence, and the next where that one is short; at
 * most 160 characters, cut between words where it is longer.
 */
export function summary(text: string): string {
  const read = withoutHeadings(text.slice(0, LONGEST_READ).trim());
  let line = "";
  for (const { index, 0: end } of read.matchAll(END)) {
    const longer = collapsed(read.slice(0, index + end.length));
    if (line !== "" && longer.length > LONGEST) return line;
    line = longer;
    if (line.length >= SHORT) return cut(line);
  }
  const all = collapsed(read);
  return line !== "" && all.length > LONGEST ? line : cut(all);
}

/** Markdown: a heading repeats the name, what is said comes below; unless there is nothing else. */
function withoutHeadings(text: string): string {
  return text.replace(/^(?:\s*#{1,6}\s.*\n)+/, "").trim().replace(/^#{1,6}\s+/, "");
}

/** The text with every run of blanks, line ends and control characters as one space. */
export function collapsed(text: string): string {
  // Line and paragraph separators end lines, too, and directional marks reorder them.
  return text.replace(/[\s\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]+/gu, " ").trim();
}

function cut(line: string): string {
  if (line.length <= LONGEST) return line;
  const most = line.slice(0, LONGEST - 1);
  const space = most.lastIndexOf(" ");
  // Text without spaces is cut anywhere, but not through a character.
  const kept = space > LONGEST / 2 ? most.slice(0, space) : most.replace(/[\ud800-\udbff]$/, "");
  return `${kept.replace(/[\s,;:–—-]+$/, "")}…`;
}
