import { existsSync, lstatSync } from "node:fs";
import process from "node:process";
import { CliError, ExitCode, type Io, print, say } from "../app/io.ts";
import { pinName, whyWaiting } from "../gateway/pins/definitions.ts";
import {
  type PinBook,
  pinFile,
  readPins,
  type ServerPins,
  updatePins,
} from "../gateway/pins/pin-file.ts";
import { jsonDifference } from "../lib/json-difference.ts";
import { stateDirectory, systemReason } from "../lib/own-file.ts";
import { plural } from "../lib/text.ts";
import type { Invocation } from "./command.ts";
import { type Style, styleFor } from "./view/table.ts";

/** Where the service keeps its state. */
const SERVICE_STATE = "/var/lib/mcproxy";

/** `mcproxy approve`: what servers offer otherwise than it was approved, for a person to decide. */
export async function run({ args, options }: Invocation, io: Io): Promise<ExitCode> {
  const paths = [stateDirectory(io.env), SERVICE_STATE].flatMap((one) => one ? [pinFile(one)] : []);
  const path = paths.find(existsSync) ?? paths[0]!;
  // Root acts for the user of the gateway.
  const isRoot = process.getuid?.() === 0;
  const owner = isRoot && existsSync(path) ? lstatSync(path).uid : undefined;
  const read = await readPins(path, owner);
  if (!read.ok) {
    throw new CliError(ExitCode.Failed, `Cannot use "${path}": ${read.reason}`, {
      hint: "Run it as the user of the gateway, or as root",
    });
  }
  const [server] = args;
  const servers = server === undefined ? [...read.value] : [[server, chosen(read.value, args)]];
  const waiting = (servers as [string, ServerPins][]).filter(([, pins]) => pins.waiting.size > 0);
  const style = styleFor({ isTerminal: io.stdout.isTerminal, env: io.env });
  const lines = options.json === true
    ? [JSON.stringify(waiting.map(asData))]
    : waiting.flatMap((one) => asLines(one, server !== undefined, style));
  await print(io, lines.map((line) => `${line}\n`).join(""));
  if (waiting.length === 0) await say(io.stderr, "Nothing waits for approval\n");
  if (waiting.length === 0 || server === undefined) return ExitCode.Ok;
  const pins = waiting[0]![1];
  const what = `${plural(pins.waiting.size, "definition")} of "${server}"`;
  if (options.yes !== true && !await confirmed(`Approve ${what}? [y/N] `, io)) {
    const hint = io.stdin.isTerminal ? {} : { hint: "Add --yes to approve without being asked" };
    throw new CliError(ExitCode.Failed, "Nothing was approved", hint);
  }
  let left = pins.waiting.size;
  const change = (book: PinBook) => void (left -= approve(book, server, pins));
  await updatePins(path, change, owner).catch((error) => {
    throw new CliError(ExitCode.Failed, `Cannot write "${path}": ${systemReason(error)}`);
  });
  if (left > 0) {
    const message = `${left} of ${what} changed meanwhile, and still wait`;
    throw new CliError(ExitCode.Failed, message);
  }
  await say(io.stderr, `Approved ${what}\n`);
  return ExitCode.Ok;
}

/** What of a server waits, and is meant. */
function chosen(book: PinBook, [server = "", ...names]: readonly string[]): ServerPins {
  const pins = book.get(server);
  if (pins === undefined) {
    const hint = `Known: ${[...book.keys()].join(", ") || "none"}`;
    const message = `Cannot approve "${server}": no gateway has seen it`;
    throw new CliError(ExitCode.Failed, message, { hint });
  }
  if (names.length === 0) return pins;
  const ids = names.flatMap((name) => {
    const found = [`tool ${name}`, `prompt ${name}`, name].filter((id) => pins.waiting.has(id));
    if (found.length > 0) return found;
    const message = `Cannot approve "${name}" of "${server}": nothing of this name waits`;
    throw new CliError(ExitCode.Failed, message);
  });
  return { ...pins, waiting: new Map(ids.map((id) => [id, pins.waiting.get(id)!])) };
}

function asData([server, { pinned, waiting }]: readonly [string, ServerPins]) {
  const items = waiting.entries().map(([item, pin]) => ({
    item,
    why: whyWaiting(pinned, item, pin),
    difference: pin.text === undefined
      ? ["(the server says too much: this text was not kept)"]
      : jsonDifference(pinned.get(item)?.text, pin.text),
  }));
  return { server, waiting: [...items] };
}

function asLines(one: readonly [string, ServerPins], isWhole: boolean, style: Style): string[] {
  const { server, waiting } = asData(one);
  const paint = (line: string) => line.startsWith("-") ? style.bad(line) : style.good(line);
  const lines = waiting.flatMap(({ item, why, difference }) => [
    `${isWhole ? "" : "  "}${style.bold(pinName(item))}: ${why}`,
    ...isWhole ? [...difference.map(paint), ""] : [],
  ]);
  return isWhole ? lines : [`${server}: mcproxy approve ${JSON.stringify(server)}`, ...lines];
}

async function confirmed(question: string, { stdin, stderr }: Io): Promise<boolean> {
  if (!stdin.isTerminal) return false;
  await say(stderr, question);
  const decoder = new TextDecoder();
  let answer = "";
  for await (const chunk of stdin) {
    answer += decoder.decode(chunk, { stream: true });
    if (answer.includes("\n")) break;
  }
  return /^\s*y(es)?\s*$/i.test(answer);
}

/** Approves what was shown, and nothing that came since. How many that are. */
function approve(book: PinBook, server: string, shown: ServerPins): number {
  const pins = book.get(server);
  if (pins === undefined) return 0;
  const [pinned, waiting] = [new Map(pins.pinned), new Map(pins.waiting)];
  for (const [id, { sha256 }] of shown.waiting) {
    const pin = waiting.get(id);
    if (pin?.sha256 === sha256 && waiting.delete(id)) pinned.set(id, pin);
  }
  book.set(server, { ...pins, pinned, waiting });
  return pins.waiting.size - waiting.size;
}
