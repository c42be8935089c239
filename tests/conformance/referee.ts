import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { within } from "../support/inbox.ts";
import { startProcess } from "../support/process.ts";
import { ROOT } from "../support/program.ts";
import type { Check } from "./checks.ts";

/** The revisions there is a frozen requirement set for. */
export type Revision = "2025-11-25" | "2026-07-28";

/** What the gateway runs on. One run judges both, against what is the same without it. */
export const MODES = ["deno", "bun"] as const;
export type Mode = typeof MODES[number];

/** What a run of the referee came to. */
export interface Report {
  readonly checks: readonly Check[];
  /** Zero when everything required holds. */
  readonly code: number | null;
  readonly output: string;
}

/** How long a test of many scenarios may take, ms: only what hangs takes this long. */
export const TIMEOUT = 900_000;

const BUN = `${ROOT}node_modules/bun/bin/bun.exe`;
const REFEREE = [
  `--preload=${fileURLToPath(new URL("./patient.mjs", import.meta.url))}`,
  `${ROOT}node_modules/@modelcontextprotocol/conformance/dist/index.js`,
];

/**
 * How long one scenario may take, ms. A second does where nothing else runs; a client scenario
 * starts two programs, and beside other tests on two processors that alone has taken ten.
 */
const SCENARIO_TIMEOUT = 300_000;
/** How long a run may take, ms. */
const RUN_TIMEOUT = 400_000;

/** Judges a server by everything a revision requires, and by what is run beside it unscored. */
export function refereeServer(url: string, revision: Revision): Promise<Report> {
  return withResults(["server", "--url", url, "--requirements", revision], {});
}

/** Judges a client program by one scenario; it finds the server's URL in its last argument. */
export async function refereeClient(
  command: string,
  scenario: string,
  revision: string,
  env: Readonly<Record<string, string>>,
): Promise<Report> {
  // Extensions belong to no revision.
  const what = ["--scenario", scenario, "--spec-version", revision, "--force"];
  const report = await withResults(["client", "--command", command, ...what], env);
  return { ...report, checks: [...report.checks, ending(scenario, report.output)] };
}

/** Whether the client program came to its end: the referee says so, but makes no check of it. */
function ending(scenario: string, output: string): Check {
  const id = "client-program-succeeds";
  const failed = /^Client (?:exited with code|timed out)[^]*?(?=^Checks:)/m.exec(output)?.[0];
  return failed === undefined
    ? { scenario, id, name: id, status: "SUCCESS" }
    : { scenario, id, name: id, status: "FAILURE", errorMessage: failed };
}

/** The names of the client scenarios a revision requires, and of those run beside them. */
export async function clientScenarios(revision: Revision): Promise<readonly string[]> {
  const { output } = await run(["list", "--client", "--requirements", revision], {});
  const [required = "", beside = ""] = output.split("Client scenarios").at(-1)!
    .split("Run and reported");
  return [
    ...[...required.matchAll(/^ +- (\S+)$/gm)].map((match) => match[1]!),
    ...[...beside.matchAll(/^ +- (\S+) \[client\]$/gm)].map((match) => match[1]!),
  ];
}

async function withResults(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Report> {
  const directory = await mkdtemp(join(tmpdir(), "mcproxy-conformance-"));
  try {
    const timeout = ["--timeout", String(SCENARIO_TIMEOUT)];
    const { code, output } = await run([...args, ...timeout, "-o", directory], env);
    const checks = await readChecks(directory);
    if (code === null || checks.length === 0) {
      throw new Error(
        `Cannot judge by ${checks.length} checks: the referee did not finish\n${output}`,
      );
    }
    return { checks, code, output };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Each scenario has a directory, `[server-]<scenario>-<time>`. */
async function readChecks(directory: string): Promise<readonly Check[]> {
  const checks: Check[] = [];
  for (const path of (await readdir(directory, { recursive: true })).sort()) {
    const scenario = /^(?:server-)?(.+)-\d{4}-\d\d-\d\dT[\d-]+Z\/checks\.json$/.exec(path)?.[1];
    if (scenario === undefined) continue;
    const found: Omit<Check, "scenario">[] = JSON.parse(
      await readFile(join(directory, path), "utf8"),
    );
    checks.push(...found.map((check) => ({ ...check, scenario })));
  }
  return checks;
}

async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const referee = await startProcess(BUN, [...REFEREE, ...args], {
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
  referee.endInput();
  try {
    const { code } = await within(referee.exited, `the referee (${args.join(" ")})`, RUN_TIMEOUT);
    const output = [...referee.stdout.items, ...referee.stderr.items].join("\n");
    return { code, output };
  } finally {
    await referee.kill();
  }
}
