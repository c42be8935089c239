import type { Command } from "./command.ts";

/** The command that runs without being named. */
export const SERVE: Command = {
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
};
