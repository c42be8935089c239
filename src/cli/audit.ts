/** `mcproxy audit`: who has done what, by the files of the audit, and whether those hold. */

import { CliError, ExitCode, failed, type Io, print, say } from "../app/io.ts";
import { requireConfiguration } from "../app/plan.ts";
import {
  auditLine,
  auditLines,
  ChainCheck,
  inWrittenOrder,
} from "../gateway/access/audit-chain.ts";
import { AUDIT_ENDS } from "../gateway/access/audit-file.ts";
import type { JsonObject } from "../lib/json.ts";
import { filesBeside, systemReason } from "../lib/own-file.ts";
import { plural, printable } from "../lib/text.ts";
import { timeGiven } from "./args.ts";
import type { Invocation, OptionValues } from "./command.ts";
import { printReport } from "./view/table.ts";

/** Characters that are printed at a time. */
const CHUNK = 32 * 1024;

/** `mcproxy audit [FILE…]` and `mcproxy audit verify [FILE…]`. */
export async function run({ args, options }: Invocation, io: Io): Promise<ExitCode> {
  const isCheck = args[0] === "verify";
  const named = isCheck ? args.slice(1) : args;
  try {
    const files = await inWrittenOrder(named.length > 0 ? named : await configured(options, io));
    return await (isCheck ? verify : show)(files, options, io);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw failed(`Cannot read the audit: ${systemReason(error)}`);
  }
}

/** The file of the configuration, and those that were moved away. */
async function configured(options: OptionValues, io: Io): Promise<string[]> {
  const { config: { settings: { audit } } } = await requireConfiguration(options, io);
  if (audit === undefined) {
    throw failed('Cannot show the audit: the configuration has no "audit"');
  }
  return await filesBeside(audit.file, AUDIT_ENDS);
}

async function verify(files: readonly string[], options: OptionValues, io: Io): Promise<ExitCode> {
  const check = new ChainCheck();
  const broken = await firstBroken(files, check) ?? check.end(options.head);
  const { from = 1, to, head } = check.held;
  const count = plural(to === 0 ? 0 : to - from + 1, "line");
  const lines = broken !== undefined
    ? [`${printable(broken.file)}:${broken.line}: ${broken.why}`]
    : [
      `${count}, number ${from} to ${to}, each as it was written`,
      `The last comes to ${head}; compare it with what the log says, or with --head`,
      ...from > 1 ? [`What was before number ${from} is in none of these files`] : [],
    ];
  await printReport(io, options, { ok: broken === undefined, from, to, head, broken }, () => lines);
  return broken === undefined ? ExitCode.Ok : ExitCode.Failed;
}

async function firstBroken(files: readonly string[], check: ChainCheck) {
  for (const file of files) {
    let line = 0;
    for await (const { bytes, isWhole } of auditLines(file)) {
      const broken = check.push(bytes, isWhole, { file, line: ++line });
      if (broken !== undefined) return broken;
    }
  }
}

async function show(files: readonly string[], options: OptionValues, io: Io): Promise<ExitCode> {
  const { since, who, event, json } = options;
  const from = since === undefined ? "" : new Date(timeGiven("since", since)).toISOString();
  const isMeant = (one: JsonObject) =>
    (who ?? one.who) === one.who && (event ?? one.event) === one.event && String(one.t) >= from;
  let [text, damaged] = ["", 0];
  for (const file of files) {
    for await (const { bytes } of auditLines(file)) {
      const line = auditLine(bytes);
      if (line === undefined) damaged++;
      else if (isMeant(line)) text += `${json ? JSON.stringify(line) : readable(line)}\n`;
      if (text.length < CHUNK) continue;
      await print(io, text);
      text = "";
    }
  }
  await print(io, text);
  const found = `${plural(damaged, "line")} cannot be read; "mcproxy audit verify" tells more\n`;
  if (damaged > 0) await say(io.stderr, found);
  return ExitCode.Ok;
}

function readable({ t, event, who, client, address, server, name, ms, outcome }: JsonObject) {
  const took = ms === undefined ? undefined : `${ms} ms`;
  const parts = [t, event, who ?? client ?? address, server, name, outcome, took];
  return printable(parts.filter((part) => part !== undefined && part !== "").join("  "));
}
