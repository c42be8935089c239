import type { Command } from "./command.ts";

/** All commands, the default first, in the order of the help. */
export const COMMANDS: readonly [Command, ...Command[]] = [
  {
    name: "serve",
    aliases: ["run"],
    summary: "Run the gateway (the default command)",
    options: [
      "config",
      "credentials",
      "host",
      "port",
      "log",
      "log-format",
      "log-level",
      "stdio",
      "profile",
      "no-auth",
    ],
    notes: [
      "Flags come before environment variables, those before files, those before defaults.",
      "Of several files the later one has the say, for each server and each setting.",
      "With --json, stdout has one JSON object per line: listening, then each server.",
    ],
    load: () => import("./serve.ts"),
  },
  {
    name: "bridge",
    summary: "Connect a client that speaks stdio to a running gateway",
    words: ["[URL]"],
    notes: ["URL is http://127.0.0.1:12009/mcp unless it is given."],
    load: () => import("./bridge.ts"),
  },
  {
    name: "check",
    summary: "Validate the configuration and stop",
    options: ["config", "credentials", "connect", "strict"],
    notes: [
      "Exits with 3 when the file is invalid or a server in it cannot be started.",
      "With --connect it exits with 1 when a server fails, or clients would refuse what it offers.",
      "With --strict it exits with 1 for warnings, too.",
    ],
    load: () => import("./check.ts"),
  },
  {
    name: "list",
    summary: "Show what the servers offer",
    words: ["[SERVER]"],
    options: ["config", "credentials", "url", "tokens", "exact-tokens"],
    notes: ["Starts the configured servers unless --url names a running gateway."],
    load: () => import("./list.ts"),
  },
  {
    name: "call",
    summary: "Call a tool by its exposed name",
    words: ["TOOL", "[JSON]"],
    options: ["config", "credentials", "url"],
    notes: [
      "JSON is the object of arguments, or - to read it from stdin.",
      "Starts the configured servers unless --url names a running gateway.",
    ],
    load: () => import("./call.ts"),
  },
  {
    name: "status",
    summary: "Show the state of a running gateway",
    options: ["watch", "health", "url"],
    notes: [
      "URL is http://127.0.0.1:12009 unless it is given.",
      "Exits with 0 when the gateway answers, however its servers are; with 1 when it does not.",
      "With --health it exits with 1 also when the gateway is about to stop.",
      "With --watch and --json, stdout has one JSON object per line.",
    ],
    load: () => import("./status.ts"),
  },
  {
    name: "import",
    summary: "Add the servers of AI clients to the configuration",
    words: ["[FILE]"],
    options: ["from", "config", "credentials", "secrets", "rename", "write"],
    notes: [
      "Without FILE the files of all known clients are read; mcproxy connect lists the clients.",
      "Shows what it would add. With --write it adds that, and keeps a backup of each file.",
      "Exits with 3 when a file cannot be read as a configuration; the others are added.",
    ],
    load: () => import("./clients/import.ts"),
  },
  {
    name: "connect",
    summary: "Put the gateway into the configuration of an AI client",
    words: ["[CLIENT]"],
    options: ["url", "replace", "undo", "write"],
    notes: [
      "Without CLIENT the known clients are listed.",
      "Shows what it would change. With --write it changes that, and keeps a backup of the file.",
    ],
    load: () => import("./clients/connect.ts"),
  },
  {
    name: "schema",
    summary: "Print the JSON schema of the configuration file",
    load: () => import("./schema.ts"),
  },
  {
    name: "version",
    summary: "Print the version",
    load: () => import("./version.ts"),
  },
  {
    name: "help",
    summary: "Show this overview, or the help of a command",
    words: ["[COMMAND]"],
    load: () => import("./help.ts"),
  },
];
