import type { Conflict } from "./types.ts";

const NOUN = {
  tools: "Tool",
  prompts: "Prompt",
  resources: "Resource",
  templates: "Resource template",
} as const;

/** A conflict in one line, for the log and for `check`. */
export function conflictText({ kind, type, wanted, parties }: Conflict): string {
  const what = `${NOUN[kind]} ${JSON.stringify(wanted)}`;
  if (type === "duplicate") {
    return `${what} is listed more than once by server "${parties[0]?.server}": the first counts`;
  }
  const who = parties
    .map(({ server, exposed }) => `${JSON.stringify(exposed)} (server "${server}")`)
    .join(", ");
  return `${what} is offered more than once: exposed as ${who}`;
}
