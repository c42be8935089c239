import { parseArgs } from "node:util";
import { type CliError, failed, UsageError } from "../app/io.ts";
import { didYouMean, suggest } from "../lib/suggest.ts";
import { parseDuration } from "../lib/time.ts";
import {
  type Command,
  COMMON_OPTIONS,
  type Invocation,
  type OptionName,
  OPTIONS,
  type OptionSpec,
  type OptionValues,
} from "./command.ts";

/**
 * Reads a command line in one pass: options may stand before the command, too, and without a
 * command it is the first of the table. `parseArgs` cuts it into tokens; what is allowed is decided here, because
 * its own messages differ between the runtimes and know no suggestions.
 * @throws {UsageError}
 */
export function parseCommandLine(
  argv: readonly string[],
  commands: readonly [Command, ...Command[]],
): Invocation {
  const tokens = joinOptionalValues(
    parseArgs({
      args: [...argv],
      options: OPTIONS,
      strict: false,
      allowPositionals: true,
      tokens: true,
    }).tokens,
  );
  const words = tokens.filter((token) => token.kind === "positional").map(({ value }) => value);
  const given = tokens.filter((token) => token.kind === "option");
  const unknown = given.find(({ name }) => !isOption(name));
  const [first, ...rest] = words;
  const command = first === undefined ? commands[0] : findCommand(first, commands);
  // Before the words are looked at: the "3" of `--prot 3` is one.
  if (unknown !== undefined) throw unknownOption(unknown.rawName, command);
  if (command === undefined) throw unknownCommand(first ?? "", commands);

  const options: Record<string, Given> = {};
  const asked = given.some(({ name }) => name === "help" || name === "version");
  for (const { name, rawName, value, inlineValue } of given) {
    if (!isOption(name)) continue;
    if (!optionsOf(command).includes(name)) throw foreignOption(rawName, command);
    const read = readValue(OPTIONS[name], rawName, value, inlineValue);
    options[name] = joined(OPTIONS[name], options[name], read);
  }
  if (!asked) checkWords(command, rest);
  return { command, commands, options: options as OptionValues, args: rest };
}

/** The command of this name or alias. */
export function findCommand(name: string, commands: readonly Command[]): Command | undefined {
  return commands.find((command) => command.name === name || command.aliases?.includes(name));
}

/** The options a command takes, its own first. */
export function optionsOf({ options = [] }: Command): readonly OptionName[] {
  return [...options, ...COMMON_OPTIONS];
}

function isOption(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name);
}

type Token = NonNullable<ReturnType<typeof parseArgs>["tokens"]>[number];

/** `--watch 5` as one token: a number behind an option that may have a value is that value. */
function joinOptionalValues(tokens: readonly Token[]): readonly Token[] {
  const wants = (token: Token | undefined) =>
    token?.kind === "option" && token.value === undefined && isOption(token.name) &&
    hasOptionalValue(OPTIONS[token.name]);
  const isNumber = (token: Token | undefined) =>
    token?.kind === "positional" && /^[\d.]/.test(token.value);
  return tokens.flatMap((token, at): readonly Token[] => {
    if (isNumber(token) && wants(tokens[at - 1])) return [];
    const next = tokens[at + 1];
    if (token.kind !== "option" || !wants(token)) return [token];
    if (next?.kind !== "positional" || !isNumber(next)) return [token];
    return [{ ...token, value: next.value, inlineValue: false }];
  });
}

function hasOptionalValue({ type, value }: OptionSpec): boolean {
  return type === "boolean" && value !== undefined;
}

type Given = string | true | readonly string[];

/** Of an option given twice the last counts, unless it may be repeated. */
function joined({ repeat }: OptionSpec, before: Given | undefined, value: string | true): Given {
  if (repeat !== true || before === undefined || before === true || value === true) return value;
  return typeof before === "string" ? [before, value] : [...before, value];
}

function readValue(
  spec: OptionSpec,
  rawName: string,
  value: string | undefined,
  inline: boolean | undefined,
): string | true {
  const { type, value: placeholder = "VALUE" } = spec;
  if (type === "boolean") {
    if (value === undefined) return true;
    if (hasOptionalValue(spec)) return value;
    throw new UsageError(`Option "${rawName}" takes no value; found ${JSON.stringify(value)}`);
  }
  // `--config --log` is a forgotten value; one that begins with a dash is written `--config=-x`.
  const forgotten = !inline && value !== undefined && value.startsWith("-") && value !== "-";
  if (value === undefined || value === "" || forgotten) {
    throw new UsageError(`Option "${rawName}" needs a value: ${rawName} ${placeholder}`);
  }
  return value;
}

/** Milliseconds of a duration that may be one of days, such as `90d`; undefined for what is none. */
export function longDuration(text: string): number | undefined {
  const days = /^(\d{1,4})d$/.exec(text)?.[1];
  return days === undefined ? parseDuration(text) : Number(days) * 86_400_000;
}

/** Milliseconds since the epoch of a date, or of a time ago. @throws {UsageError} for what is none */
export function timeGiven(option: OptionName, text: string): number {
  const ago = longDuration(text);
  const at = ago === undefined ? Date.parse(text) : Date.now() - ago;
  if (!Number.isNaN(at)) return at;
  const said = JSON.stringify(text);
  throw new UsageError(
    `Cannot use --${option} ${said}: expected a time such as 2h, 7d or 2026-11-30`,
  );
}

/** How a command is written: its name, and the words behind it. */
export function usageOf({ name, words = [] }: Command): string {
  return [name, ...words].join(" ");
}

function checkWords(command: Command, given: readonly string[]): void {
  const { name, words = [] } = command;
  const missing = words.filter((word) => !word.startsWith("["))[given.length];
  const usage = `mcproxy ${usageOf(command)}`;
  if (missing !== undefined) {
    throw new UsageError(`Cannot run "${name}": ${missing} is missing; expected "${usage}"`);
  }
  const extra = words.at(-1)?.endsWith("…]") ? undefined : given[words.length];
  if (extra === undefined) return;
  const found = `found ${JSON.stringify(extra)} too many`;
  throw new UsageError(`Cannot run "${name}": ${found}; expected "${usage}"`);
}

function unknownOption(rawName: string, command: Command | undefined): UsageError {
  const names = command === undefined ? Object.keys(OPTIONS) : optionsOf(command);
  const name = rawName.replace(/^-+/, "");
  const near = suggest(name, names) ?? suggest(name, Object.keys(OPTIONS));
  return new UsageError(`Unknown option "${rawName}"${didYouMean(near && `--${near}`)}`);
}

function foreignOption(rawName: string, command: Command): UsageError {
  const near = suggest(rawName.replace(/^-+/, ""), optionsOf(command));
  return new UsageError(
    `Unknown option "${rawName}" for "${command.name}"${didYouMean(near && `--${near}`)}`,
    `Run "mcproxy help ${command.name}" for usage`,
  );
}

/** What a command that does not exist is answered with; `help` says the same. */
export function unknownCommand(name: string, commands: readonly Command[]): UsageError {
  const names = commands.flatMap((command) => [command.name, ...command.aliases ?? []]);
  const near = suggest(name, names);
  return new UsageError(`Unknown command ${JSON.stringify(name)}${didYouMean(near)}`);
}

/** The end of a command that names a server nobody has. */
export function unknownServer(name: string, known: Iterable<string>): CliError {
  const names = [...known];
  const near = suggest(name, names);
  const hint = near === undefined
    ? `Configured: ${names.join(", ") || "none"}`
    : `Did you mean "${near}"?`;
  const message = `Cannot find server "${name}": it is not configured; expected one of mcpServers`;
  return failed(message, { hint });
}
