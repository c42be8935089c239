import { ExitCode, failed, type Io, say } from "../app/io.ts";
import { pinName, whyWaiting, without } from "../gateway/pins/definitions.ts";
import {
  type PinBook,
  pinFile,
  type PinMap,
  readPins,
  type ServerPins,
  updatePins,
} from "../gateway/pins/pin-file.ts";
import { jsonDifference } from "../lib/json-difference.ts";
import { systemReason } from "../lib/own-file.ts";
import { plural } from "../lib/text.ts";
import type { Invocation } from "./command.ts";
import { gatewayState } from "./credential.ts";
import { printReport, type Style } from "./view/table.ts";

/** `mcproxy approve`: what servers offer otherwise than it was approved, for a person to decide. */
export async function run({ args, options }: Invocation, io: Io): Promise<ExitCode> {
  const [server, ...names] = args;
  const { directory, owner } = gatewayState(io.env);
  const path = pinFile(directory);
  const read = await readPins(path, owner);
  if (!read.ok) {
    const hint = "Run it as its user, or as root";
    throw failed(`Cannot use "${path}": ${read.reason}`, { hint });
  }
  const servers = server === undefined ? read.value : chosen(read.value, server, names);
  const waiting = [...servers].filter(([, pins]) => pins.waiting.size > 0);
  const report = waiting.map(reportOf);
  const isWhole = server !== undefined;
  const render = (style: Style) => report.flatMap((one) => linesOf(one, isWhole, style));
  await printReport(io, options, report, render);
  const shown = waiting[0]?.[1].waiting;
  if (shown === undefined) await say(io.stderr, "Nothing waits for approval\n");
  if (shown === undefined || server === undefined) return ExitCode.Ok;
  const what = `${plural(shown.size, "definition")} of "${server}"`;
  if (options.yes !== true && !await confirmed(`Approve ${what}? [y/N] `, io)) {
    const hint = io.stdin.isTerminal ? undefined : "Add --yes to approve without being asked";
    throw failed("Nothing was approved", { hint });
  }
  let left = 0;
  const change = (book: PinBook) => void (left = approve(book, server, shown));
  await updatePins(path, change, owner).catch((error) => {
    throw failed(`Cannot write "${path}": ${systemReason(error)}`);
  });
  if (left > 0) throw failed(`${left} of ${what} changed meanwhile, and still wait`);
  await say(io.stderr, `Approved ${what}\n`);
  return ExitCode.Ok;
}

/** What of a server waits, and is meant. */
function chosen(book: PinBook, server: string, names: readonly string[]): PinBook {
  const pins = book.get(server);
  if (pins === undefined) {
    const hint = `Known: ${[...book.keys()].join(", ") || "none"}`;
    throw failed(`Cannot approve "${server}": no gateway has seen it`, { hint });
  }
  if (names.length === 0) return new Map([[server, pins]]);
  const ids = names.flatMap((name) => {
    const found = [`tool ${name}`, `prompt ${name}`, name].filter((id) => pins.waiting.has(id));
    if (found.length > 0) return found;
    throw failed(`Cannot approve "${name}" of "${server}": nothing of this name waits`);
  });
  const waiting = new Map(ids.map((id) => [id, pins.waiting.get(id)!]));
  return new Map([[server, { ...pins, waiting }]]);
}

function reportOf([server, { pinned, waiting }]: readonly [string, ServerPins]) {
  const items = waiting.entries().map(([item, pin]) => ({
    item,
    why: whyWaiting(pinned, item, pin),
    difference: pin.text === undefined
      ? ["(the server says too much: this text was not kept)"]
      : jsonDifference(pinned.get(item)?.text, pin.text),
  }));
  return { server, waiting: [...items] };
}

type Report = ReturnType<typeof reportOf>;

function linesOf({ server, waiting }: Report, isWhole: boolean, style: Style): string[] {
  const paint = (line: string) => line.startsWith("-") ? style.bad(line) : style.good(line);
  const lines = waiting.flatMap(({ item, why, difference }) => [
    `${isWhole ? "" : "  "}${style.bold(pinName(item))}: ${why}`,
    ...isWhole ? [...difference.map(paint), ""] : [],
  ]);
  return isWhole ? lines : [`${server}: mcproxy approve ${JSON.stringify(server)}`, ...lines];
}

/** Whether whoever is at the terminal says yes. */
export async function confirmed(question: string, { stdin, stderr }: Io): Promise<boolean> {
  if (!stdin.isTerminal) return false;
  await say(stderr, question);
  for await (const chunk of stdin) {
    // A terminal gives whole lines.
    return /^\s*y(es)?\s*$/i.test(new TextDecoder().decode(chunk));
  }
  return false;
}

/** Approves what was shown, and nothing that came since; how much of that is left. */
function approve(book: PinBook, server: string, shown: PinMap): number {
  const pins = book.get(server);
  if (pins === undefined) return shown.size;
  const left = without(shown, pins.waiting);
  const approved = without(shown, left);
  const pinned = new Map([...pins.pinned, ...approved]);
  book.set(server, { ...pins, pinned, waiting: without(pins.waiting, approved) });
  return left.size;
}
