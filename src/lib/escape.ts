/**
 * Nothing that comes from a server, a client or a config may end a log line, colour a terminal or
 * turn text around: control characters, line separators, direction marks, the byte order mark.
 */
const UNSAFE = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/** The text on one line, with what is unsafe made visible as an escape. */
export function oneLine(text: string): string {
  return text.replace(UNSAFE, (char) => {
    if (char === "\n") return "\\n";
    if (char === "\r") return "\\r";
    if (char === "\t") return "\\t";
    return "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0");
  });
}

/** As {@link oneLine}, for text that is JSON already: the result is the same JSON value. */
export function oneLineJson(json: string): string {
  return json.replace(UNSAFE, (char) => "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0"));
}

/** One `key=value`; the value is quoted only where it needs to be. */
export function field(key: string, value: string): string {
  const name = oneLine(key).replace(/[\s="]/g, "_");
  const plain = value !== "" && !/[\s="\\]/.test(value) && oneLine(value) === value;
  return `${name}=${plain ? value : oneLineJson(JSON.stringify(value))}`;
}

/** At most `length` characters, never half of one, with a note of what is missing. */
export function truncate(text: string, length: number): string {
  if (text.length <= length) return text;
  const kept = text.slice(0, length).replace(/[\ud800-\udbff]$/, "");
  return `${kept}… (${text.length - kept.length} more characters)`;
}
