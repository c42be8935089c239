import type { Style } from "./view/style.ts";

/** What one client is to be given. */
export interface Snippet {
  readonly client: string;
  /** Where it goes: a command line, or a file. */
  readonly where: string;
  /** To be pasted as it is. */
  readonly text: string;
}

/** What to paste into the usual clients for a gateway at `url`. */
export function snippets(url: string): readonly Snippet[] {
  const typed = { type: "http", url };
  return [
    {
      client: "Claude Code",
      where: "shell",
      text: `claude mcp add --transport http mcproxy ${url}`,
    },
    {
      client: "Claude Code",
      where: ".mcp.json",
      text: JSON.stringify({ mcpServers: { mcproxy: typed } }),
    },
    {
      client: "Cursor",
      where: ".cursor/mcp.json",
      text: JSON.stringify({ mcpServers: { mcproxy: { url } } }),
    },
    {
      client: "VS Code",
      where: ".vscode/mcp.json",
      text: JSON.stringify({ servers: { mcproxy: typed } }),
    },
  ];
}

/** The snippets as lines, for the end of the start on a terminal. */
export function renderSnippets(url: string, style: Style): string[] {
  const rows = snippets(url).map(({ client, where, text }) => [`${client}, ${where}`, text]);
  const width = Math.max(...rows.map(([label = ""]) => label.length));
  return rows.map(([label = "", text = ""]) => `  ${style.dim(label.padEnd(width))}  ${text}`);
}
