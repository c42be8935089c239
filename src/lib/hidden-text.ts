/** Characters that a model reads and a person does not see. */

/**
 * A flag emoji made of tags (England, Scotland, Wales: they pass, others are words), or one hidden
 * character: tags, bidi controls, zero-width space, word joiner and invisible operators, byte order
 * mark, private use, variation selectors 17 to 256, controls but tab and newlines. Joiners (ZWJ,
 * ZWNJ) pass: emoji and Persian need them.
 */
const HIDDEN =
  // deno-lint-ignore no-control-regex
  /(\u{1f3f4}\u{e0067}\u{e0062}(?:\u{e0065}\u{e006e}\u{e0067}|\u{e0073}\u{e0063}\u{e0074}|\u{e0077}\u{e006c}\u{e0073})\u{e007f})|[\u{e0000}-\u{e007f}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u200b\u2060-\u2064\ufeff\ue000-\uf8ff\u{f0000}-\u{ffffd}\u{100000}-\u{10fffd}\u{e0100}-\u{e01ef}\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/gu;

/** Whether a text, or a text in such JSON as `JSON.stringify` writes, has hidden characters. */
export function hasHidden(text: string): boolean {
  const isPlain = /^[\x20-\x7e]*$/.test(text);
  return !isPlain && text.replace(HIDDEN, "$1").length !== text.length || hasEscape(text);
}

/** As JSON text has them: what is above U+001F stands there as it is. A loop: text may be all `\`. */
function hasEscape(text: string): boolean {
  for (let at = text.indexOf("\\"); at !== -1; at = text.indexOf("\\", at + 2)) {
    const next = text[at + 1];
    if (next === "b" || next === "f") return true;
    if (next === "u" && /^u00[01]/.test(text.slice(at + 1, at + 5))) return true;
  }
  return false;
}

/** The text with every hidden character as `\u{E0041}`. */
export function showHidden(text: string): string {
  return text.replace(HIDDEN, (found, flag?: string) => flag ?? visible(found));
}

function visible(char: string): string {
  return `\\u{${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}}`;
}
