/** Agents as published: how each is told of an MCP server and of a model, and run without a person. */

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** The ways a client reaches the gateway. */
export type Way = "/mcp" | "/sse" | "bridge" | "--stdio";

/** What an agent is told of the gateway, by one of the ways. */
export type Target = { readonly way: "/mcp" | "/sse"; readonly url: string } | {
  readonly way: "bridge" | "--stdio";
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

/** How an agent is run: files in its home, what is executed in the folder `work` of it, its variables. */
interface Run {
  readonly files: Readonly<Record<string, string>>;
  readonly argv: readonly [command: string, ...args: string[]];
  readonly env: Readonly<Record<string, string>>;
}

/** One agent. */
export interface Agent {
  readonly name: string;
  /** The ways it knows, in the order they are proven. */
  readonly ways: readonly Way[];
  /** @param model the address of the stand-in, without a path */
  run(target: Target, model: string): Run;
}

const PROGRAMS = fileURLToPath(new URL("./programs/node_modules/", import.meta.url));
const PLATFORM = `${process.platform}-${process.arch}`;
/** The one that runs on processors without AVX2, too. */
const OPENCODE = `opencode-${PLATFORM}-baseline`;

/** How long they wait for the gateway, ms, as a busy machine needs it. */
const PATIENCE = 60_000;

const CLAUDE_CODE: Agent = {
  name: "Claude Code",
  ways: ["/mcp", "/sse", "bridge", "--stdio"],
  run: (target, model) => ({
    files: {
      "mcp.json": JSON.stringify({
        mcpServers: {
          gateway: "url" in target
            ? { type: target.way === "/sse" ? "sse" : "http", url: target.url }
            : { command: target.command, args: target.args, env: target.env },
        },
      }),
    },
    argv: [
      `${PROGRAMS}@anthropic-ai/claude-code-${PLATFORM}/claude`,
      ...["--print", "go", "--model", "claude-sonnet-4-5", "--output-format", "stream-json"],
      ...["--verbose", "--mcp-config", "../mcp.json", "--strict-mcp-config"],
      ...["--allowedTools", "mcp__gateway"],
    ],
    env: {
      ANTHROPIC_BASE_URL: model,
      ANTHROPIC_API_KEY: "none",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
      // It would show tools only once the model has searched for them.
      ENABLE_TOOL_SEARCH: "false",
      MCP_TIMEOUT: `${PATIENCE}`,
    },
  }),
};

const CODEX: Agent = {
  name: "Codex",
  // It has no client for HTTP+SSE.
  ways: ["/mcp", "bridge", "--stdio"],
  run: (target, model) => {
    // One that is not required has a second, then the first turn begins without it.
    const gateway = {
      ..."url" in target ? { url: target.url } : { command: target.command, args: target.args },
      required: true,
      startup_timeout_sec: PATIENCE / 1000,
    };
    // Strings and lists of them are the same in TOML and JSON.
    const lines = (entry: object) =>
      Object.entries(entry).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`).join("");
    const provider = {
      name: "stand-in",
      base_url: `${model}/v1`,
      env_key: "NO_KEY",
      wire_api: "responses",
    };
    return {
      files: {
        ".codex/config.toml": `${lines({ model: "gpt-5", model_provider: "stand-in" })}
[model_providers.stand-in]
${lines(provider)}
[mcp_servers.gateway]
${lines(gateway)}
${"env" in target ? `[mcp_servers.gateway.env]\n${lines(target.env)}` : ""}`,
      },
      argv: [
        "node",
        `${PROGRAMS}@openai/codex/bin/codex.js`,
        ...["exec", "--json", "--skip-git-repo-check"],
        // Without it a tool waits for a person's consent, which nobody gives here.
        ...["--dangerously-bypass-approvals-and-sandbox", "go"],
      ],
      env: { NO_KEY: "none" },
    };
  },
};

const GEMINI_CLI: Agent = {
  name: "Gemini CLI",
  ways: ["/mcp", "/sse", "bridge", "--stdio"],
  run: (target, model) => ({
    files: {
      ".gemini/settings.json": JSON.stringify({
        security: { auth: { selectedType: "gemini-api-key" } },
        privacy: { usageStatisticsEnabled: false },
        general: { enableAutoUpdate: false },
        mcpServers: {
          gateway: "url" in target
            ? target.way === "/sse" ? { url: target.url, type: "sse" } : { httpUrl: target.url }
            : { command: target.command, args: target.args, env: target.env },
        },
      }),
    },
    argv: [
      "node",
      `${PROGRAMS}@google/gemini-cli/bundle/gemini.js`,
      ...["--prompt", "go", "--yolo", "--model", "gemini-2.5-flash"],
    ],
    env: {
      GEMINI_API_KEY: "none",
      GOOGLE_GEMINI_BASE_URL: model,
      // In a folder it does not trust it starts no server.
      GEMINI_CLI_TRUST_WORKSPACE: "true",
    },
  }),
};

const OPENCODE_AI: Agent = {
  name: "opencode",
  ways: ["/mcp", "/sse", "bridge", "--stdio"],
  run: (target, model) => ({
    files: {
      "work/opencode.json": JSON.stringify({
        autoupdate: false,
        share: "disabled",
        model: "standin/m",
        small_model: "standin/m",
        provider: {
          standin: {
            npm: "@ai-sdk/openai-compatible",
            name: "stand-in",
            options: { baseURL: `${model}/v1`, apiKey: "none" },
            models: { m: { name: "m" } },
          },
        },
        mcp: {
          gateway: {
            timeout: PATIENCE,
            ..."url" in target ? { type: "remote", url: target.url } : {
              type: "local",
              command: [target.command, ...target.args],
              environment: target.env,
            },
          },
        },
      }),
      // The models of all the world take seconds to read.
      "models.json": "{}",
      // Its types for plugins are installed already, for all it knows: it would ask the registry.
      ".config/opencode/node_modules/.keep": "",
      ".config/opencode/package-lock.json": JSON.stringify({
        packages: { "": { dependencies: { "@opencode-ai/plugin": "*" } } },
      }),
    },
    argv: [`${PROGRAMS}${OPENCODE}/bin/opencode`, "run", "--title", "t", "--print-logs", "go"],
    env: {
      OPENCODE_PURE: "1",
      OPENCODE_DISABLE_AUTOUPDATE: "1",
      OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
      OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
      OPENCODE_DISABLE_MODELS_FETCH: "1",
      OPENCODE_MODELS_PATH: "../models.json",
    },
  }),
};

/** All that are proven. */
export const AGENTS = { CLAUDE_CODE, CODEX, GEMINI_CLI, OPENCODE_AI } as const;

/** Writes the files of a run into an empty home. */
export async function furnish(home: string, { files }: Run): Promise<void> {
  await mkdir(join(home, "work"), { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(home, path)), { recursive: true });
    await writeFile(join(home, path), text);
  }
}
