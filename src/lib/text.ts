/** Foreign text on its way to a terminal, a log line or a message. */

/**
 * Nothing that comes from a server, a client or a config may end a log line, colour a terminal, turn
 * text around, or be there without being seen: control and format characters, line separators,
 * and what is drawn as nothing. What joins and colours emoji may.
 */
const UNSAFE =
  /(?!(?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}]\ufe0f?)\u200d|[\ufe0e\ufe0f])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

const LINE_END = /\r\n?|[\n\v\f\x85\u2028\u2029]/g;

/**
 * Text without what is {@link UNSAFE}: a server's description must not move the cursor, change the
 * title or hide a line. Line ends become spaces unless `lines` keeps them.
 */
export function printable(text: string, { lines = false }: { readonly lines?: boolean } = {}) {
  const clean = text.replace(LINE_END, "\n")
    .replace(UNSAFE, (char) => char === "\n" || char === "\t" ? char : "");
  return lines ? clean : clean.replace(/[\n\t]+/g, " ");
}

/** The first line that says something, printable. */
export function firstLine(text: string): string {
  const line = text.split(LINE_END).find((candidate) => printable(candidate).trim() !== "");
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

const SHORT_ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** The text on one line, with what is unsafe made visible as an escape. */
export function oneLine(text: string): string {
  return text.replace(UNSAFE, (char) => SHORT_ESCAPES[char] ?? escaped(char));
}

/** As {@link oneLine}, for text that is JSON already: the result is the same JSON value. */
export function oneLineJson(json: string): string {
  return json.replace(UNSAFE, escaped);
}

function escaped(char: string): string {
  const units = char.split("");
  return units.map((unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0")).join("");
}

/** One `key=value`; the value is quoted only where it needs to be. */
export function field(key: string, value: string): string {
  const name = oneLine(key).replace(/[\s="]/g, "_");
  const plain = value !== "" && !/[\s="\\]/.test(value) && oneLine(value) === value;
  return `${name}=${plain ? value : oneLineJson(JSON.stringify(value))}`;
}

/** At most `length` characters, never half of one, and an ellipsis where more would follow. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${beginning(text, length)}…`;
}

/** As {@link cut}, with a note of how much is missing. */
export function truncate(text: string, length: number): string {
  if (text.length <= length) return text;
  const kept = beginning(text, length);
  return `${kept}… (${text.length - kept.length} more characters)`;
}

function beginning(text: string, length: number): string {
  return text.slice(0, length).replace(/[\ud800-\udbff]$/, "");
}

/** The first characters of foreign text, for a log line: control characters as blanks. */
export function snippet(text: string, length = 200): string {
  // deno-lint-ignore no-control-regex
  return cut(text, length).replace(/[\x00-\x1f\x7f]/g, " ");
}

/** Foreign text as it stands in a message: its first characters, and none that hides. */
export function quoted(text: string): string {
  return JSON.stringify(printable(snippet(text)));
}

/** `1 tool`, `2 tools`. */
export function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** How many names a sentence lists. */
const MOST_NAMES = 5;

/** `"a", "b"`; of many the first, and how many more there are. */
export function quotedNames(names: readonly string[]): string {
  const some = names.slice(0, MOST_NAMES).map((name) => JSON.stringify(cut(name, 100))).join(", ");
  return names.length > MOST_NAMES ? `${some} and ${names.length - MOST_NAMES} more` : some;
}

/** The system's word for what went wrong, such as `EACCES`; `undefined` for other errors. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

/** What an error says; whatever is thrown says something. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** True for names and addresses of hosts that never leave the machine. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  return name === "localhost" || name.endsWith(".localhost") || name === "::1" ||
    name === "[::1]" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}

/** Whether what is sent to a URL is for nobody on the way: by https, or on this machine. */
export function isSecure({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
}

/** A listen address as the host of a URL that reaches it from this machine. */
export function hostInUrl(host: string): string {
  if (["0.0.0.0", "::", "[::]"].includes(host)) return "127.0.0.1";
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

/**
 * A name as it may stand in an exposed name: each character outside `[A-Za-z0-9_-]` (a whole code
 * point, so an emoji counts once) becomes `_`.
 */
export function sanitizeName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]/gu, "_");
}

/** A word as a shell takes it. */
export function shellWord(word: string): string {
  return /^[\w./@%+:,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
