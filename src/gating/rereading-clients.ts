/**
 * Clients that read the list of tools again when they hear `list_changed`, by their
 * `clientInfo.name`. With the evidence (August 2026), because it gets old: VS Code documents it,
 * gemini-cli does it in `mcp-client.ts`, opencode lists afresh at each use, Cline since 3 August 2026
 * (#12619; before, it showed a message). Claude Desktop, Cursor, Codex and Roo Code do not, and of
 * Claude Code there are reports both ways; for them a changed list is lost and costs a prompt cache.
 */
const NAMES: readonly RegExp[] = [
  /^visual studio code\b/i,
  /^gemini-cli\b/i,
  /^cline$/i,
  /^opencode$/i,
];

/** Whether a client with this `clientInfo` is known to act on `list_changed`. */
export function rereadsLists({ name }: { readonly name?: unknown }): boolean {
  return typeof name === "string" && NAMES.some((known) => known.test(name));
}
