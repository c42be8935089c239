/** Runs commands one after the other and keeps the count; shared by the project's own tasks. */

/** What one step came to. */
export interface StepResult {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
}

/** One step: a command, and how its output tells passed from failed. */
export interface Step {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Reads the counts of a test run; a plain check counts as one. Undefined when it cannot tell. */
  readonly count?: (output: string) => { passed: number; failed: number } | undefined;
}

/** Runs a step with its output shown as it comes. */
export async function runStep(step: Step): Promise<StepResult> {
  console.log(`\n=== ${step.name}`);
  const started = performance.now();
  const [command, ...args] = step.command;
  const child = new Deno.Command(command!, {
    args,
    env: { NO_COLOR: "1", ...step.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [out, err, status] = await Promise.all([
    passOn(child.stdout, Deno.stdout),
    passOn(child.stderr, Deno.stderr),
    child.status,
  ]);
  const seconds = (performance.now() - started) / 1000;
  const counted = step.count?.(out + err) ??
    (step.count === undefined
      ? { passed: status.success ? 1 : 0, failed: 0 }
      : { passed: 0, failed: 1 });
  // A run that failed without a failed test has failed all the same.
  const failed = status.success ? counted.failed : Math.max(1, counted.failed);
  return { name: step.name, passed: counted.passed, failed, seconds };
}

async function passOn(
  from: ReadableStream<Uint8Array>,
  to: { writable: WritableStream<Uint8Array> },
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  const writer = to.writable.getWriter();
  for await (const chunk of from) {
    text += decoder.decode(chunk, { stream: true });
    await writer.write(chunk);
  }
  writer.releaseLock();
  return text;
}

/** Reads the closing line of `deno test`; a run over no test at all counts as undecided. */
export function countDeno(output: string): { passed: number; failed: number } | undefined {
  const line = output.match(/(\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed/g)?.at(-1);
  const counts = line?.match(/(\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed/);
  return counts === undefined || counts === null || counts[1] === "0" && counts[2] === "0"
    ? undefined
    : { passed: Number(counts[1]), failed: Number(counts[2]) };
}

/** Reads the closing lines of `bun test`. */
export function countBun(output: string): { passed: number; failed: number } | undefined {
  const passed = output.match(/^\s*(\d+) pass$/m)?.[1];
  const failed = output.match(/^\s*(\d+) fail$/m)?.[1];
  return passed === undefined ? undefined : { passed: Number(passed), failed: Number(failed ?? 0) };
}
