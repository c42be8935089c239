import type { Command } from "../command.ts";

const FILTER =
  'A FILTER is like "server:github outcome:error ms:>500 -name:*_list word"; commas are an "or".';
const DASH = "One that begins with - stands behind --.";

/** The commands that look at the calls of a running gateway. */
export const OBSERVE_COMMANDS: readonly Command[] = [
  {
    name: "tail",
    summary: "Follow the calls of a running gateway as they end",
    words: ["[FILTER…]"],
    options: ["url"],
    notes: [FILTER, DASH, "With --json, stdout has one JSON object per line."],
    load: async () => (await import("./tail.ts")).run,
  },
  {
    name: "calls",
    summary: "Look back at calls, or at one of them",
    words: ["[ID|FILTER…]"],
    options: ["since", "limit", "url"],
    notes: [FILTER, DASH, "With --json, stdout has one JSON object per line."],
    load: async () => (await import("./calls.ts")).run,
  },
  {
    name: "usage",
    summary: "Show what is used, how often, and what it takes",
    options: ["by", "range", "url"],
    load: async () => (await import("./reports.ts")).showUsage,
  },
  {
    name: "problems",
    summary: "Show what fails again and again, or say what has become of it",
    words: ["[ACTION]", "[ID]"],
    options: ["state", "url"],
    notes: ["ACTION is done, ignore or open; what is done opens again when it fails again."],
    load: async () => (await import("./reports.ts")).showProblems,
  },
  {
    name: "record",
    summary: "Keep what calls say and are answered, for a time",
    options: ["for", "server", "errors", "url"],
    notes: [
      "Secrets are masked, and 64 kB a side are kept: mcproxy calls ID shows them.",
      "Ten minutes unless --for says otherwise; --for 0s ends it.",
    ],
    load: async () => (await import("./reports.ts")).startRecording,
  },
  {
    name: "replay",
    summary: "Send a recorded call again, as a client of its own",
    words: ["ID"],
    options: ["edit", "yes", "url"],
    notes: [
      "--edit opens the arguments in $VISUAL or $EDITOR, to fill in what was masked or cut.",
      "Asks first unless the tool says that it only reads.",
    ],
    load: async () => (await import("./replay.ts")).run,
  },
  {
    name: "ui",
    summary: "Open the dashboard of a running gateway in a browser",
    options: ["no-browser", "url"],
    notes: ["The address has a key in it that holds for twelve hours; show it to nobody."],
    load: async () => (await import("./ui.ts")).run,
  },
  {
    name: "alerts",
    summary: "Show what is wrong now, what was, and who is told; or tell them of a test",
    words: ["[ACTION]"],
    options: ["config", "credentials", "url"],
    notes: [
      "ACTION is test: it reads the configuration, tells every channel, and fails if one fails.",
    ],
    load: async () => (await import("./reports.ts")).showAlerts,
  },
];
