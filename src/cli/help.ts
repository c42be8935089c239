import { ExitCode, type Io, print } from "../app/io.ts";
import { VERSION } from "../lib/version.ts";
import { findCommand, optionsOf, unknownCommand, usageOf } from "./args.ts";
import {
  type Command,
  type Invocation,
  type OptionName,
  OPTIONS,
  type OptionSpec,
} from "./command.ts";
import { OPTION_HELP } from "./option-help.ts";
import { printReport, type Style } from "./view/table.ts";

/** `mcproxy help [COMMAND]`. */
export async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const { args: [name], commands } = invocation;
  const command = name === undefined ? undefined : findCommand(name, commands);
  if (name !== undefined && command === undefined) throw unknownCommand(name, commands);
  return await showHelp(command, invocation, io);
}

/** Prints the help of a command, or the overview. */
export async function showHelp(
  command: Command | undefined,
  { commands, options }: Invocation,
  io: Io,
): Promise<ExitCode> {
  const data = command === undefined ? { commands: commands.map(asData) } : asData(command);
  const render = (style: Style) => command ? helpOf(command, style) : overview(commands, style);
  await printReport(io, options, data, render);
  return ExitCode.Ok;
}

function overview(commands: readonly Command[], style: Style): string[] {
  const serve = commands[0]!;
  return [
    `${style.bold("mcproxy")}: one endpoint for many Model Context Protocol servers`,
    "",
    `${style.bold("Usage")}  mcproxy [COMMAND] [OPTIONS]`,
    "",
    style.bold("Commands"),
    ...columns(commands.map((command) => [usageOf(command), command.summary])),
    "",
    style.bold("Options of serve"),
    ...columns(optionsOf(serve).map(optionRow)),
    "",
    'Run "mcproxy help COMMAND" for the options of the others.',
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 invalid configuration.",
  ];
}

function helpOf(command: Command, style: Style): string[] {
  const { aliases = [], notes = [] } = command;
  const told = [...notes, ...(aliases.length === 0 ? [] : [`Alias: ${aliases.join(", ")}`])];
  return [
    `${command.summary}.`,
    "",
    `${style.bold("Usage")}  mcproxy ${usageOf(command)} [OPTIONS]`,
    "",
    style.bold("Options"),
    ...columns(optionsOf(command).map(optionRow)),
    ...(told.length === 0 ? [] : ["", ...told]),
  ];
}

function optionRow(name: OptionName): [string, string] {
  const { short, value }: OptionSpec = OPTIONS[name];
  const long = value === undefined ? `--${name}` : `--${name} ${value}`;
  return [short === undefined ? `    ${long}` : `-${short}, ${long}`, OPTION_HELP[name]];
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

function asData(command: Command) {
  const { name, aliases = [], summary, words = [] } = command;
  const options = optionsOf(command).map((option) => {
    const { type, short }: OptionSpec = OPTIONS[option];
    const help = OPTION_HELP[option];
    return { name: option, type, ...(short === undefined ? {} : { short }), help };
  });
  return { name, aliases, summary, words, options };
}

/** `mcproxy version`: the program, and what it runs on. */
export async function printVersion({ options }: Invocation, io: Io): Promise<ExitCode> {
  const { name: runtime, version: runtimeVersion } = io.runtime;
  const data = { name: "mcproxy", version: VERSION, runtime, runtimeVersion };
  const text = `mcproxy ${VERSION} (${runtime} ${runtimeVersion})`;
  await printReport(io, options, data, () => [text]);
  return ExitCode.Ok;
}

/** `mcproxy schema`: the JSON schema of the configuration file, for editors. */
export async function printSchema(_: Invocation, io: Io): Promise<ExitCode> {
  // Imported, not read: it must be inside the compiled program. Late, for no help needs it.
  const { default: schema } = await import("../../schema/mcp-servers.schema.json", {
    with: { type: "json" },
  });
  await print(io, `${JSON.stringify(schema, null, 2)}\n`);
  return ExitCode.Ok;
}
