import { type CliError, ExitCode, failed, type Io, print, say, UsageError } from "../app/io.ts";
import { rawAt } from "../lib/json-edit.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { firstLine, messageOf, printable } from "../lib/text.ts";
import type { Invocation, OptionValues } from "./command.ts";
import { styleFor } from "./view/table.ts";

/** `mcproxy call TOOL [JSON|-]`: one tool call from the command line. */
export async function run(invocation: Invocation, io: Io): Promise<number> {
  const { args: [tool = "", given], options } = invocation;
  const argumentsText = readCallArguments(given === "-" ? await readAll(io.stdin) : given ?? "{}");
  const caller = await openCaller(invocation, io);
  return await untilSignal(caller, io, async () => {
    const raw = await caller.call(tool, argumentsText, progressTo(io));
    return await printResult(raw, tool, options, io);
  });
}

/** Shows whoever waits what comes meanwhile. */
export function progressTo(io: Io): (raw: string) => void {
  const style = styleFor({ isTerminal: io.stderr.isTerminal, env: io.env });
  return (raw) => {
    const line = progressLine(raw);
    if (line !== undefined) void say(io.stderr, `${style.dim(line)}\n`);
  };
}

/** Prints the result of a call, and whether it succeeded. @throws {CliError} for an error */
export async function printResult(
  raw: string,
  called: string,
  { json }: OptionValues,
  io: Io,
): Promise<ExitCode> {
  const { result, error } = JSON.parse(raw) as JsonObject;
  if (!isObject(result)) throw callError(called, error);
  if (json === true) {
    // As it came: a number beyond 2^53 would not survive a round trip.
    await print(io, `${rawAt(raw, ["result"]) ?? "{}"}\n`);
  } else {
    const text = contentText(result);
    await print(io, io.stdout.isTerminal ? printable(text, { lines: true }) : text);
  }
  return result.isError === true ? ExitCode.Failed : ExitCode.Ok;
}

/**
 * What a command asks servers through, as the command line has it; whoever opened it closes it.
 *
 * @param server the only one that is of interest
 * @throws {CliError} for a configuration that cannot be loaded
 */
export async function openCaller(
  { options }: Pick<Invocation, "options">,
  io: Io,
  server?: string,
) {
  const { remoteCaller } = await import("./remote.ts");
  const running = await remoteCaller(options, io);
  if (running !== undefined) return running;
  const { openLocal } = await import("./local.ts");
  return await openLocal(options, io, server);
}

/**
 * Uses what was opened until `use` is done, and closes it. A signal closes it at once: what is
 * waited for then fails, and the signal's exit code is returned.
 */
export async function untilSignal<T>(
  opened: { close(): Promise<void> },
  io: Io,
  use: () => Promise<T>,
): Promise<T | number> {
  const interrupted = Promise.withResolvers<number>();
  const off = [
    io.runtime.onSignal("SIGINT", () => interrupted.resolve(130)),
    io.runtime.onSignal("SIGTERM", () => interrupted.resolve(143)),
  ];
  try {
    return await Promise.race([use(), interrupted.promise]);
  } finally {
    for (const remove of off) remove();
    await opened.close();
  }
}

/**
 * The text, if it is the JSON of an object.
 * @throws {UsageError} naming the place as far as the runtime tells it
 */
export function readCallArguments(text: string): string {
  const refused = (why: string) =>
    new UsageError(`Cannot read the arguments: ${why}`, 'Run "mcproxy help call" for usage');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refused(`${firstLine(messageOf(error))}; expected JSON such as '{"message":"hello"}'`);
  }
  if (isObject(value)) return text;
  throw refused(`found ${printable(text.trim()).slice(0, 60)}; expected an object`);
}

/** All that comes. */
export async function readAll(input: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of input) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

function callError(tool: string, error: Json | undefined): CliError {
  const { message, code, data } = isObject(error) ? error : {};
  return failed(`Cannot call "${tool}": ${String(message)}`, {
    data: { code, ...(data === undefined ? {} : { data }) },
  });
}

/** The content of a tool result as text, a line end behind each block; data is only described. */
export function contentText(result: JsonObject): string {
  const blocks = Array.isArray(result.content) ? result.content.filter(isObject) : [];
  const texts = blocks.map(blockText);
  if (texts.length === 0 && result.structuredContent !== undefined) {
    texts.push(JSON.stringify(result.structuredContent, null, 2));
  }
  return texts.map((text) => text.endsWith("\n") ? text : `${text}\n`).join("");
}

function blockText(block: JsonObject): string {
  if (block.type === "text" && typeof block.text === "string") return block.text;
  if (block.type === "resource_link") return String(block.uri);
  const resource = isObject(block.resource) ? block.resource : {};
  if (typeof resource.text === "string") return resource.text;
  const data = block.data ?? resource.blob;
  const size = typeof data === "string" ? `, ${data.length} characters of base64` : "";
  const type = block.mimeType ?? resource.mimeType;
  return `[${[block.type, type].filter((part) => typeof part === "string").join(" ")}${size}]`;
}

/** What a notification says to a person waiting: progress and log lines; undefined for others. */
export function progressLine(raw: string): string | undefined {
  const { method, params } = JSON.parse(raw) as JsonObject;
  if (!isObject(params)) return undefined;
  if (method === "notifications/progress") {
    const total = typeof params.total === "number" ? `/${params.total}` : "";
    const message = typeof params.message === "string" ? ` ${firstLine(params.message)}` : "";
    return `${Number(params.progress)}${total}${message}`;
  }
  if (method !== "notifications/message") return undefined;
  const { level, data } = params;
  const text = typeof data === "string" ? data : JSON.stringify(data) ?? "";
  return `${printable(String(level))}: ${firstLine(text)}`;
}
