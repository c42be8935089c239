import { CliError, ExitCode, type Io, say } from "../app/io.ts";
import { createRedactor } from "../lib/secrets.ts";
import { messageOf, printable } from "../lib/text.ts";
import { parseCommandLine } from "./args.ts";
import type { Command } from "./command.ts";
import { styleFor } from "./view/table.ts";

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
    load: async () => (await import("./serve.ts")).run,
  },
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

/**
 * Runs one command line to its end and returns the exit code; what is written has been taken by the
 * system by then. Touches nothing of the process but what `io` gives. Never rejects.
 */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  const uncaught = Promise.withResolvers<never>();
  // The runtime would print it as it is, with whatever it quotes.
  const release = io.onUncaught(uncaught.reject);
  try {
    return await Promise.race([runCommand(argv, io), uncaught.promise]);
  } catch (error) {
    // Parsing may be what failed, so the flag is looked for as it was written.
    return await report(error, io, argv.includes("--json"));
  } finally {
    release();
  }
}

async function runCommand(argv: readonly string[], io: Io): Promise<number> {
  const invocation = parseCommandLine(argv, COMMANDS);
  const { command, options } = invocation;
  if (options.version === true || options.help === true) {
    const { printVersion, showHelp } = await import("./help.ts");
    if (options.version === true) return await printVersion(invocation, io);
    // A bare `mcproxy --help` asks about the program, not about serve.
    const named = argv.includes(command.name) || command.aliases?.some((a) => argv.includes(a));
    return await showHelp(named && command.name !== "help" ? command : undefined, invocation, io);
  }
  return await (await command.load())(invocation, io);
}

async function report(error: unknown, io: Io, json: boolean): Promise<number> {
  const known = error instanceof CliError ? error : undefined;
  const exitCode = known?.exitCode ?? ExitCode.Failed;
  const { text } = createRedactor(io.secrets);
  const message = text(messageOf(error));
  // The journal takes what carries no severity for information.
  const mark = io.env["JOURNAL_STREAM"] === io.stderr.identity ? "<3>" : "";
  const tell = (lines: string) => say(io.stderr, `${lines.replace(/^/gm, mark)}\n`);
  if (json) {
    const body = { message, exitCode, hint: known?.hint, ...known?.data };
    await tell(JSON.stringify({ error: body }));
    return exitCode;
  }
  const style = styleFor({ isTerminal: io.stderr.isTerminal, env: io.env });
  const lines = [style.bad(printable(message, { lines: true }))];
  if (known?.hint !== undefined) lines.push(known.hint);
  // What nobody expected is a bug of ours: where it happened is what a report needs.
  if (known === undefined && error instanceof Error && error.stack !== undefined) {
    lines.push(style.dim(printable(text(error.stack), { lines: true })));
  }
  await tell(lines.join("\n"));
  return exitCode;
}
