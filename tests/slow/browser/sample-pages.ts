/** What the made-up gateway has for Tools, Usage, Alerts and Configuration. */

const MINUTE = 60_000;

const text = (description?: string) => ({ type: "string", description });

/** A tool with most kinds of fields. */
const TOOL = {
  name: "filesystem_search_files",
  server: "filesystem",
  ownName: "search_files",
  description: "Searches for files below a directory by a pattern, in all subdirectories.",
  annotations: { readOnlyHint: true },
  tokens: 148,
  calls: 58,
  inputSchema: {
    type: "object",
    properties: {
      path: text(),
      pattern: text("As a shell writes it: **/*.md"),
      limit: { type: "integer", minimum: 1, maximum: 1_000, default: 100 },
      sort: { enum: ["name", "modified", "size"], default: "name" },
      excludePatterns: { type: "array", items: { type: "string" } },
      modified: {
        type: "object",
        properties: {
          after: { type: "string", format: "date" },
          before: { type: "string", format: "date" },
        },
      },
      followLinks: { type: "boolean", default: false },
    },
    required: ["path", "pattern"],
  },
  outputSchema: { type: "object", required: ["files"] },
};

/** The arguments of {@link RESULT}. */
export const ARGUMENTS = {
  path: "/srv/documents",
  pattern: "**/*.md",
  limit: 2_500,
  excludePatterns: ["node_modules/**"],
};

const FILES = ["plan.md", "notes/gateway.md", "notes/ideas.md"].map((name, at) => ({
  path: `/srv/documents/${name}`,
  size: 18_211 - at * 6_907,
}));

/** What the tool answers at `/mcp`. */
export const RESULT = {
  jsonrpc: "2.0",
  id: 1,
  result: {
    content: [{ type: "text", text: JSON.stringify({ files: FILES }, null, 2) }],
    structuredContent: { files: FILES, truncated: false },
  },
};

/** Names of tools with their calls, by server. */
const TOOLS = {
  filesystem: {
    search_files: 58,
    read_text_file: 412,
    edit_file: 31,
    list_directory: 120,
    move_file: 0,
  },
  postgres: { query: 251, list_tables: 12, explain: 3 },
  memory: { search_nodes: 61, create_entities: 20, delete_relations: 0 },
  github: { search_code: 188, get_issue: 77, list_commits: 61, fork_repository: 0 },
};

const CONFIG = `{
  // Servers that everybody has
  "mcpServers": {
    "filesystem": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/srv"] },
    "github": { "url": "https://api.githubcopilot.com/mcp/", "headers": { "Authorization": "\${GITHUB}" } }
  },
  "alerts": { "to": ["ntfy:https://ntfy.example/mcproxy"] }
}
`;

/** By the name of the resource; `now` is when all of it is. */
export function pagesOf(now: number): Readonly<Record<string, (name?: string) => unknown>> {
  const problem = (at: number, server: string, name: string, text: string, count: number) => ({
    ...{ fingerprint: `f${at}`, server, name, text, count, state: "open", sampleCall: `c${at}` },
    ...{ first: now - at * 60 * MINUTE, last: now - at * MINUTE },
  });
  return {
    tools: (name) =>
      name !== undefined ? { ...TOOL, name } : {
        servers: Object.entries(TOOLS).map(([name, tools]) => ({
          name,
          state: "ready",
          tools: Object.entries(tools).map(([own, calls]) => ({
            exposed: `${name}_${own}`,
            own,
            title: null,
            tokens: 148,
            calls,
          })),
        })),
      },
    usage: () => ({
      items: Object.entries(TOOLS).flatMap(([server, tools]) =>
        Object.entries(tools).filter(([, calls]) => calls > 0).map(([own, calls]) => ({
          ...{ key: `${server}_${own}`, calls, failed: calls % 7, toolErrors: calls % 3 },
          ...{
            p50: 2 + calls % 40,
            p95: 11 + calls * 3,
            bytesOut: calls * 4_100,
            tokens: calls * 137,
          },
        }))
      ).sort((a, b) => b.tokens - a.tokens),
      next: null,
    }),
    advice: () => ({
      items: [{
        kind: "unused",
        subject: "browser",
        text: "29 tools of browser were not called in 30 days",
        figure: "4 310 tokens of each list",
        reason: "they are listed to every client",
        config: '"browser": { "tools": { "exclude": ["*"] } }',
      }],
      next: null,
    }),
    alerts: () => ({
      rules: [
        { rule: "down", servers: ["*"], condition: "for 2 m" },
        { rule: "errors", servers: ["*"], condition: "above 20 % of 10 or more in 5 m" },
      ],
      firing: [{
        rule: "down",
        subject: "search",
        since: now - 4 * MINUTE,
        text: "Connection refused, attempt 9.",
      }],
      history: [{
        rule: "errors",
        subject: "postgres",
        since: now - 190 * MINUTE,
        until: now - 170 * MINUTE,
        told: true,
        text: "24 % of 310 calls in 5 m",
      }],
      channels: [{ kind: "ntfy", target: "https://ntfy.example/…" }],
    }),
    problems: () => ({
      items: [
        problem(6, "postgres", "postgres_query", "statement timeout after … ms (…)", 24),
        problem(9, "filesystem", "filesystem_edit_file", "Access denied: path outside …", 3),
      ],
      next: null,
    }),
    config: () => ({
      file: "/etc/mcproxy/mcp-servers.json",
      sources: ["/etc/mcproxy/mcp-servers.json"],
      text: CONFIG,
      hash: "h",
      edit: true,
      error: null,
    }),
  };
}
