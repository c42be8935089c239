/** Runs the steps of the project's own tasks beside each other, and counts. */

import { DENO } from "./paths.ts";

/** One step: a command, and how its output tells passed from failed. */
export interface Step {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Reads the counts of a test run; a plain check counts as one. Undefined when it cannot tell. */
  readonly count?: (output: string) => Counts | undefined;
  /** The name of the step that makes what this one uses. */
  readonly after?: string;
  /** It waits more than it works, so it runs beside as many others as there may be. */
  readonly isLight?: boolean;
  /** Not run where this file is missing by the time its turn comes. */
  readonly needs?: string;
}

/** How many passed and how many did not. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** What one step came to. */
interface StepResult extends Counts {
  readonly name: string;
  readonly seconds: number;
  readonly output: string;
}

/** What holds without a test being run; the long one first. */
export const CHECKS: readonly Step[] = [
  { name: "types", command: [DENO, "check", "main.ts", "src", "tests", "scripts", "bench"] },
  { name: "lint", command: [DENO, "lint"] },
  { name: "format", command: [DENO, "fmt", "--check"] },
  { name: "schema", command: [DENO, "run", "-A", "scripts/schema.ts", "--check"] },
];

/** Two more than there are processors, as much of a test is waiting. */
const LANES = navigator.hardwareConcurrency + 2;

/**
 * Runs every step even when one fails, shows the output as it comes, then once more that of each
 * that failed, and ends with the line `N passed, N failed` alone. Returns the exit code.
 */
export async function runSteps(steps: readonly Step[]): Promise<number> {
  const began = performance.now();
  const results: StepResult[] = [];
  const run = async (step: Step) => {
    if (step.needs !== undefined && !await exists(step.needs)) return;
    results.push(await runStep(step));
  };
  await beside(steps, run);
  for (const { name, failed, output } of results) {
    if (failed > 0) console.log(`\n=== FAILED: ${name}\n${output}`);
  }
  console.log("\n=== summary");
  for (const { name, passed, failed, seconds } of results) {
    const verdict = failed === 0 ? "ok    " : "FAILED";
    console.log(`${verdict} ${name} (${passed} passed, ${failed} failed, ${seconds.toFixed(1)} s)`);
  }
  // Who sees only the end of a long log sees at least this.
  for (const { name, failed, output } of results) {
    if (failed > 0) console.log(`\n=== what failed: ${name}\n${failures(output)}`);
  }
  const wall = (performance.now() - began) / 1000;
  console.log(`${wall.toFixed(1)} s${await processorTime()}`);
  const sum = (key: keyof Counts) => results.reduce((total, one) => total + one[key], 0);
  console.log(`${sum("passed")} passed, ${sum("failed")} failed`);
  return sum("failed") === 0 ? 0 : 1;
}

/**
 * Runs steps in their order, {@link LANES} at a time and the light ones beside them; each when the
 * one it follows has ended.
 */
async function beside(steps: readonly Step[], run: (step: Step) => Promise<void>): Promise<void> {
  const waiting = [...steps];
  const unfinished = new Set(steps.map(({ name }) => name));
  const running = new Map<Promise<void>, Step>();
  while (waiting.length > 0 || running.size > 0) {
    const lanes = LANES - [...running.values()].filter(({ isLight }) => !isLight).length;
    const free = waiting.findIndex(({ after, isLight }) =>
      (isLight || lanes > 0) && (after === undefined || !unfinished.has(after))
    );
    if (free === -1) {
      await Promise.race(running.keys());
      continue;
    }
    const [step] = waiting.splice(free, 1);
    const ended = run(step!).finally(() => {
      unfinished.delete(step!.name);
      running.delete(ended);
    });
    running.set(ended, step!);
  }
}

async function runStep(step: Step): Promise<StepResult> {
  console.log(`[${step.name}] begins`);
  const started = performance.now();
  let output = "";
  let success = false;
  try {
    const [command, ...args] = step.command;
    const child = new Deno.Command(command!, {
      args,
      env: { NO_COLOR: "1", ...step.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const show = (lines: string) => {
      output += lines;
      console.log(lines.replace(/\n$/, "").replaceAll(/^/gm, `[${step.name}] `));
    };
    const streams = [child.stdout, child.stderr].map((stream) => eachLines(stream, show));
    success = (await child.status).success;
    await Promise.all(streams);
  } catch (error) {
    output += `Cannot run ${step.command[0]}: ${error}\n`;
  }
  const counted = step.count?.(output) ??
    { passed: success && step.count === undefined ? 1 : 0, failed: 0 };
  // A run that failed without a failed test has failed all the same, as has one without a count.
  const least = success && counted.passed + counted.failed > 0 ? 0 : 1;
  const failed = Math.max(least, counted.failed);
  const seconds = (performance.now() - started) / 1000;
  console.log(`[${step.name}] ends: ${counted.passed} passed, ${failed} failed`);
  return { name: step.name, passed: counted.passed, failed, seconds, output };
}

/** Hands on whole lines: what runs beside writes between them, not into them. */
async function eachLines(from: ReadableStream<Uint8Array>, show: (lines: string) => void) {
  let rest = "";
  // The types of a browser are about as well, for the dashboard; in those it takes any bytes.
  const decoder = new TextDecoderStream() as TransformStream<Uint8Array, string>;
  for await (const text of from.pipeThrough(decoder)) {
    const end = text.lastIndexOf("\n") + 1;
    if (end > 0) show(rest + text.slice(0, end));
    rest = (end > 0 ? "" : rest) + text.slice(end);
  }
  if (rest !== "") show(`${rest}\n`);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** What all steps together took of the processors, where the system tells. */
async function processorTime(): Promise<string> {
  const stat = await Deno.readTextFile("/proc/self/stat").catch(() => undefined);
  if (stat === undefined) return "";
  // The 14th to 17th: in user and system mode, its own and of children that ended; in 1/100 s.
  const ticks = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 15).map(Number);
  return `, ${Math.round(ticks.reduce((total, one) => total + one, 0) / 100)} s of processor time`;
}

/** The lines of a test run that say what failed and why, not many of them. */
function failures(output: string): string {
  const lines = output.trimEnd().split("\n");
  // Deno says it all once more at the end, Bun writes it above the test's name.
  const ofDeno = lines.lastIndexOf(" ERRORS ");
  if (ofDeno !== -1) return lines.slice(ofDeno + 1, ofDeno + 40).join("\n");
  const ofBun = [...lines.keys()].filter((at) => lines[at]!.startsWith("(fail)")).slice(0, 3);
  if (ofBun.length === 0) return lines.slice(-20).join("\n");
  return ofBun.map((at) => lines.slice(Math.max(0, at - 16), at + 1).join("\n")).join("\n");
}

/** Reads the closing line of `deno test`; a run over no test at all counts as undecided. */
export function countDeno(output: string): Counts | undefined {
  const [, passed, failed] =
    [...output.matchAll(/(\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed/g)].at(-1) ?? [];
  return passed === undefined ? undefined : { passed: Number(passed), failed: Number(failed) };
}

/** Reads the closing lines of `bun test`. */
export function countBun(output: string): Counts | undefined {
  const passed = output.match(/^\s*(\d+) pass$/m)?.[1];
  const failed = output.match(/^\s*(\d+) fail$/m)?.[1];
  return passed === undefined ? undefined : { passed: Number(passed), failed: Number(failed ?? 0) };
}
