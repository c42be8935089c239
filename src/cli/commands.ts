/** Who reads the whole table: a start by itself needs no row but its own. */

import type { Command } from "./command.ts";
import { SERVE } from "./default-command.ts";
import { OBSERVE_COMMANDS } from "./observe/rows.ts";

/** All commands, the default first, in the order of the help. */
export const COMMANDS: readonly [Command, ...Command[]] = [
  SERVE,
  {
    name: "bridge",
    summary: "Connect a client that speaks stdio to a running gateway",
    words: ["[URL]"],
    notes: ["URL is http://127.0.0.1:12009/mcp unless it is given."],
    load: async () => (await import("./bridge.ts")).run,
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
    load: async () => (await import("./check.ts")).run,
  },
  {
    name: "list",
    summary: "Show what the servers offer",
    words: ["[SERVER]"],
    options: ["config", "credentials", "url", "tokens", "exact-tokens"],
    notes: ["Starts the configured servers unless --url names a running gateway."],
    load: async () => (await import("./list.ts")).run,
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
    load: async () => (await import("./call.ts")).run,
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
    load: async () => (await import("./status.ts")).run,
  },
  ...OBSERVE_COMMANDS,
  {
    name: "approve",
    summary: "Show what of a server is not as it was approved, and approve it",
    words: ["[SERVER]", "[TOOL…]"],
    options: ["yes"],
    notes: [
      "Without SERVER, what waits is listed. TOOL may be a prompt, or instructions.",
      "A running gateway notices it; without one it holds from the next start on.",
    ],
    load: async () => (await import("./approve.ts")).run,
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
    load: async () => (await import("./clients/import.ts")).run,
  },
  {
    name: "connect",
    summary: "Put the gateway into the configuration of an AI client",
    words: ["[CLIENT]"],
    options: ["url", "gated", "replace", "undo", "write"],
    notes: [
      "Without CLIENT the known clients are listed.",
      "Shows what it would change. With --write it changes that, and keeps a backup of the file.",
      "Where there are keys, the client gets a new one; with --url, that in MCPROXY_KEY.",
    ],
    load: async () => (await import("./clients/connect.ts")).run,
  },
  {
    name: "keys",
    summary: "Make, list and take out the keys that let clients in",
    words: ["ACTION", "[NAME]"],
    options: ["config", "credentials", "expires"],
    notes: [
      "ACTION is add NAME, list, remove NAME or hash (of a key on stdin).",
      "add prints a new key once, and writes its hash into the configuration.",
    ],
    load: async () => (await import("./keys.ts")).run,
  },
  {
    name: "login",
    summary: "Log in to a server that wants it (OAuth)",
    words: ["NAME|URL"],
    options: ["scope", "for", "url", "no-browser", "config", "credentials"],
    notes: [
      "NAME is a server of the running gateway, or of the configuration where none runs.",
      "URL is any other MCP server: bridge, call and status use that login for this URL.",
      "From another machine: --url URL of the gateway, with MCPROXY_KEY.",
      "Where no browser is, open the address elsewhere, and paste where it leads to.",
      'For "per": "user", of the key in MCPROXY_KEY, or --for NAME (key:laptop).',
    ],
    load: async () => (await import("./login/login.ts")).logIn,
  },
  {
    name: "logout",
    summary: "End a login, and tell who has given it",
    words: ["NAME|URL"],
    options: ["for", "url", "config", "credentials"],
    load: async () => (await import("./login/login.ts")).logOut,
  },
  {
    name: "audit",
    summary: "Show who has done what, or verify that nothing of it was changed",
    words: ["[verify]", "[FILE…]"],
    options: ["who", "event", "since", "head", "config", "credentials"],
    notes: [
      "Without FILE it shows the files of the configuration's audit.",
      "verify names the first line that is not as it was written, and exits with 1 then.",
    ],
    load: async () => (await import("./audit.ts")).run,
  },
  {
    name: "schema",
    summary: "Print the JSON schema of the configuration file",
    load: async () => (await import("./help.ts")).printSchema,
  },
  {
    name: "version",
    summary: "Print the version",
    load: async () => (await import("./help.ts")).printVersion,
  },
  {
    name: "help",
    summary: "Show this overview, or the help of a command",
    words: ["[COMMAND]"],
    load: async () => (await import("./help.ts")).run,
  },
];
