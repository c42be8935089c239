/** Where the statements of a TOML file stand. */

/** A header of a table, or a key with its value. */
export interface Statement {
  readonly isHeader: boolean;
  /** From the root: a key of a table has the path of the table before it. */
  readonly path: readonly string[];
  /** In UTF-16 units, of the first character and behind the last. */
  readonly offset: number;
  readonly end: number;
}

/** The statements of a text that a parser has found to be valid. Never throws. */
export function statementsOf(text: string): readonly Statement[] {
  const statements: Statement[] = [];
  let table: readonly string[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text[at]!;
    if (/\s/.test(char)) at++;
    else if (char === "#") at = endOfLine(text, at);
    else if (char === "[") {
      const { path, end } = readKey(text, at + (text[at + 1] === "[" ? 2 : 1));
      table = path;
      const stop = end + (text[at + 1] === "[" ? 2 : 1);
      statements.push({ isHeader: true, path, offset: at, end: stop });
      at = stop;
    } else {
      const { path, end } = readKey(text, at);
      const stop = endOfValue(text, end + 1);
      statements.push({ isHeader: false, path: [...table, ...path], offset: at, end: stop });
      // Whatever the text is, the scan goes on.
      at = Math.max(stop, at + 1);
    }
  }
  return statements;
}

/** A dotted key up to the `=` or `]` behind it. */
function readKey(text: string, start: number): { path: string[]; end: number } {
  const path: string[] = [];
  let at = start;
  while (at < text.length) {
    const char = text[at]!;
    if (char === "=" || char === "]" || char === "\n") break;
    if (char === '"' || char === "'") {
      const end = endOfString(text, at);
      path.push(unquote(text.slice(at, end)));
      at = end;
    } else if (/[\w-]/.test(char)) {
      const [word = char] = /^[\w-]+/.exec(text.slice(at)) ?? [];
      path.push(word);
      at += word.length;
    } else at++;
  }
  return { path, end: at };
}

function unquote(quoted: string): string {
  if (quoted.startsWith("'")) return quoted.slice(1, -1);
  try {
    return String(JSON.parse(quoted));
  } catch {
    // TOML knows escapes that JSON does not; such a name is only not found.
    return quoted.slice(1, -1);
  }
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end === -1 ? text.length : end;
}

function endOfString(text: string, start: number): number {
  const quote = text[start]!;
  const triple = quote.repeat(3);
  if (text.startsWith(triple, start)) {
    let at = start + 3;
    while (at < text.length && !text.startsWith(triple, at)) {
      at += quote === '"' && text[at] === "\\" ? 2 : 1;
    }
    at += 3;
    // Up to two quotes more belong to the string.
    while (text[at] === quote) at++;
    return Math.min(at, text.length);
  }
  let at = start + 1;
  while (at < text.length && text[at] !== quote) at += quote === '"' && text[at] === "\\" ? 2 : 1;
  return Math.min(at + 1, text.length);
}

/** Behind the value that begins at `start`: at the end of its line, brackets being closed. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  let at = start;
  let end = start;
  while (at < text.length) {
    const char = text[at]!;
    if (char === '"' || char === "'") at = endOfString(text, at);
    else if (char === "#") {
      if (depth === 0) return end;
      at = endOfLine(text, at);
      continue;
    } else if (char === "\n" && depth === 0) return end;
    else {
      if (char === "[" || char === "{") depth++;
      if (char === "]" || char === "}") depth--;
      at++;
    }
    if (!/\s/.test(char)) end = at;
  }
  return end;
}
