/** `mcproxy replay`: a call that was recorded, sent again. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CliError, failed, type Io, say } from "../../app/io.ts";
import { rawAt } from "../../lib/json-edit.ts";
import { isObject, type JsonObject, parsedObject } from "../../lib/json.ts";
import { REDACTED } from "../../lib/secrets.ts";
import { messageOf, printable } from "../../lib/text.ts";
import { confirmed } from "../approve.ts";
import { printResult, progressTo, readCallArguments } from "../call.ts";
import type { Invocation } from "../command.ts";
import { RefusedError } from "../credential.ts";
import type { RemoteCaller } from "../remote.ts";
import { askGateway } from "./asked.ts";
import { askedCall, noSuchCall } from "./calls.ts";

/** What can be sent again, and how what it asks for is called. */
const MEMBERS: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
};

/** `mcproxy replay ID [--edit] [--yes]` */
export async function run({ args: [id = ""], options }: Invocation, io: Io): Promise<number> {
  return await askGateway(options, io, async (gateway, urls) => {
    const call = await askedCall(gateway, id);
    if (call === undefined) throw noSuchCall(id);
    const { name, method, endpoint } = call;
    const member = MEMBERS[String(method)];
    if (member === undefined || typeof name !== "string") {
      throw refused(id, `${printable(String(method))} is not sent again`);
    }
    const kept = argumentsOf(call);
    if (kept === undefined) {
      const hint = 'Run "mcproxy record" first: what calls say is not kept unless it is wanted';
      throw refused(id, "its arguments were not kept", hint);
    }
    const sent = options.edit === true ? await edited(kept, io) : kept;
    checkWhole(id, sent);
    if (options.yes !== true && method === "tools/call" && !await onlyReads(gateway, name)) {
      await say(io.stderr, `${name} ${printable(sent)}\n`);
      if (!await confirmed(`Send this to "${printable(String(call.server))}" again? [y/N] `, io)) {
        const hint = io.stdin.isTerminal ? undefined : "Add --yes to send it without being asked";
        throw refused(id, "nobody has agreed to it", hint);
      }
    }
    const members = `${JSON.stringify(member)}:${JSON.stringify(name)}` +
      (member === "uri" ? "" : `,"arguments":${sent}`);
    const url = urls.endpoint(String(endpoint));
    const raw = await gateway.send(String(method), members, progressTo(io), url);
    // Of others than tools there is no text for people.
    const shown = method === "tools/call" ? options : { ...options, json: true } as const;
    return await printResult(raw, name, shown, io);
  });
}

function refused(id: string, why: string, hint?: string): CliError {
  return failed(`Cannot replay ${JSON.stringify(printable(id))}: ${why}`, { hint });
}

/** The text of the arguments as far as they were kept; undefined where nothing was. */
function argumentsOf({ body }: JsonObject): string | undefined {
  if (!isObject(body) || typeof body.request !== "string") return undefined;
  const { request } = body;
  if (parsedObject(request) !== undefined) return rawAt(request, ["arguments"]) ?? "{}";
  // It was cut: the rest of it is for a person to fill in.
  const at = request.indexOf('"arguments":');
  return at < 0 ? request : request.slice(at + '"arguments":'.length);
}

/** @throws {CliError} */
function checkWhole(id: string, text: string): void {
  const hint = "Add --edit to fill it in";
  if (text.includes(REDACTED)) throw refused(id, "a secret was masked in its arguments", hint);
  if (parsedObject(text) === undefined) throw refused(id, "its arguments were cut", hint);
}

/** Whether the tool says that it changes nothing; of one that is not known nobody says so. */
async function onlyReads(gateway: RemoteCaller, name: string): Promise<boolean> {
  try {
    const { annotations } = await gateway.api("GET", `tools/${encodeURIComponent(name)}`);
    return isObject(annotations) && annotations.readOnlyHint === true;
  } catch (error) {
    if (error instanceof RefusedError) return false;
    throw error;
  }
}

/** The text as a person has left it. */
async function edited(text: string, io: Io): Promise<string> {
  const editor = io.env["VISUAL"] || io.env["EDITOR"] || "vi";
  const directory = await mkdtemp(join(tmpdir(), "mcproxy-replay-"));
  const file = join(directory, "arguments.json");
  try {
    const value = parsedObject(text);
    const shown = value === undefined ? text : JSON.stringify(value, null, 2);
    await writeFile(file, `${shown}\n`, { mode: 0o600 });
    // It may be a command line: `code --wait`.
    const args = ["-c", `${editor} "$1"`, "sh", file];
    const child = spawn("/bin/sh", args, { stdio: "inherit", env: io.env });
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`it ended with ${code}`);
    const left = await readFile(file, "utf8");
    // Numbers beyond 2^53 stay as they were where nothing was changed.
    return left.trim() === shown ? text : readCallArguments(left).trim();
  } catch (error) {
    if (error instanceof CliError) throw error;
    const message = `Cannot edit the arguments with "${printable(editor)}": ${messageOf(error)}`;
    throw failed(message, { hint: "Set EDITOR to another one" });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
