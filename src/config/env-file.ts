/** Files of `NAME=value` lines, as `envFile` names them. */

/**
 * The variables in the text of such a file. Lines may begin with `export`; values may be in quotes,
 * in double ones `\n` and the like count; `#` begins a comment. Nothing is expanded, and a line that
 * is none of this is passed over, as the clients do that read these files.
 */
export function parseEnvFile(text: string): Readonly<Record<string, string>> {
  const values: Record<string, string> = Object.create(null);
  for (const line of text.split(/\r?\n/)) {
    const [, name, rest = ""] = /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*)$/.exec(line) ?? [];
    if (name !== undefined) values[name] = readEnvValue(rest.trim());
  }
  return values;
}

function readEnvValue(text: string): string {
  const double = /^"((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
  if (double !== undefined) {
    return double.replaceAll(/\\(.)/g, (_, letter: string) => ESCAPES[letter] ?? letter);
  }
  const single = /^'([^']*)'/.exec(text)?.[1];
  return single ?? text.replace(/\s+#.*$|^#.*$/, "");
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };
