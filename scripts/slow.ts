/**
 * `deno task ok:slow`: what needs a browser, an identity provider, an engine of containers or long
 * seeded rounds, and is not for every change. CI runs it behind `deno task ok`.
 */

import { readFileSync } from "node:fs";
import { AGENTS_INSTALLED, DENO, ROOT } from "./paths.ts";
import { runSteps, type Step } from "./steps.ts";
import { onBun, onDeno, TEST_FILES } from "./suites.ts";

const RESTARTS = ["tests/slow/restarts.test.ts"];
const PRINCIPALS = ["tests/slow/principals.test.ts"];
const DOOR = ["door", "clients", "fuzz", "logins", "login"].map((name) =>
  `tests/slow/auth/${name}.test.ts`
);
const LOGIN = ["tests/slow/auth/conformance.test.ts"];
const MEMORY = ["", "eras/"].map((folder) => `tests/behaviour/${folder}memory.test.ts`);
const soak = onDeno("soak, on Deno", ["tests/soak/soak.test.ts"]);

/** Agents as published, as clients of the binary that `deno task ok` has made. */
function agents(...files: readonly string[]): Step {
  const step = onDeno(files.join(", "), files.map((file) => `tests/slow/agents/${file}.test.ts`));
  return { ...step, after: "agents from npm", needs: AGENTS_INSTALLED };
}

/** A program that tests find on the machine. */
function debian(name: string, command = name): Step {
  return { name, command: [DENO, "run", "-A", "scripts/debian.ts", command, name] };
}

/** The dashboard of a gateway that runs so. */
function inChromium(mode: string): Step {
  const step = onDeno(`the dashboard by keys, ${mode}`, ["tests/slow/browser/gateway.test.ts"]);
  return { ...step, env: { ...step.env, GATEWAY: mode }, after: "chromium" };
}

/** Of which `deno task ok` runs a part only: see `rounds()`. */
const PROPERTIES = TEST_FILES.filter((file) =>
  readFileSync(`${ROOT}${file}`, "utf8").includes("/support/rounds.ts")
);

/** A step with all rounds of each property. */
function allRounds(step: Step): Step {
  return { ...step, env: { ...step.env, ALL_ROUNDS: "1" } };
}

/** A row for each. What is in `tests/slow` is in no step of `deno task ok`. */
const steps: readonly Step[] = [
  onDeno("twenty restarts, on Deno", RESTARTS),
  onBun("twenty restarts, on Bun", RESTARTS),
  onDeno("a thousand rounds of two principals, on Deno", PRINCIPALS),
  onBun("a thousand rounds of two principals, on Bun", PRINCIPALS),
  onDeno("the door, on Deno", DOOR),
  onBun("the door, on Bun", DOOR),
  onDeno("logins as the referee wants them, on Deno", LOGIN),
  onBun("logins as the referee wants them, on Bun", LOGIN),
  allRounds(onDeno("properties, all rounds, on Deno", PROPERTIES)),
  allRounds(onBun("properties, all rounds, on Bun", PROPERTIES)),
  onDeno("behaviour in memory, on Deno", MEMORY),
  onBun("behaviour in memory, on Bun", MEMORY),
  // With the binary that `deno task ok` has made.
  { ...soak, env: { ...soak.env, SOAK_SECONDS: "40" } },
  debian("bubblewrap", "bwrap"),
  {
    ...onDeno("sandboxes and images, of both runtimes", ["tests/slow/kept-in/kept-in.test.ts"]),
    after: "bubblewrap",
  },
  debian("chromium"),
  {
    ...onDeno("the dashboard with made-up data", ["tests/slow/browser/sample.test.ts"]),
    after: "chromium",
  },
  ...["memory", "bun", "binary"].map(inChromium),
  { name: "agents from npm", command: [DENO, "run", "-A", "scripts/agents.ts"] },
  agents("opencode"),
  agents("gemini-cli", "claude-code", "codex"),
];

Deno.chdir(ROOT);
Deno.exit(await runSteps(steps));
