/** The configuration as it is written, its secrets masked, and how another one is saved. */

import { access, chmod, chown, constants, realpath, rename, rm } from "node:fs/promises";
import { stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { readText } from "../../config/files.ts";
import { checkText } from "../../config/check-text.ts";
import { secretsOfText } from "../../config/secrets.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import { type JsonObject, shortHash } from "../../lib/json.ts";
import { systemReason } from "../../lib/own-file.ts";
import { createRedactor } from "../../lib/secrets.ts";
import { getLogger } from "../../log/mod.ts";
import { ApiError, type Asked, bodyOf } from "./ask.ts";

const log = getLogger("mcproxy", "front");

/** Stands for a secret that is written in the file; the same one has the same number. */
const PLACEHOLDER = /\[redacted (\d+)\]/g;

/** `GET /api/config` */
export async function configuration({ gateway }: Asked) {
  const { text, hash, locked } = await written(gateway);
  const { file } = gateway.config;
  const { error } = gateway.configState.status();
  return {
    ...{ file, sources: sourcesOf(file), text, hash },
    ...{ edit: locked === undefined, why: locked },
    error: error === null ? null : { message: error, issues: await issuesIn(text, gateway) },
  };
}

/** `POST /api/config/check` */
export async function checkConfiguration(asked: Asked) {
  return { issues: await issuesIn(textIn(await bodyOf(asked), "text"), asked.gateway) };
}

let last: Promise<unknown> = Promise.resolve();

/** `PUT /api/config`: one after the other, or the last would win unseen. */
export async function saveConfiguration(asked: Asked) {
  const body = await bodyOf(asked);
  const saved = last.then(() => save(asked, body));
  last = saved.catch(() => {});
  return await saved;
}

async function save({ gateway, visitor }: Asked, body: JsonObject) {
  const [text, hash] = [textIn(body, "text"), textIn(body, "hash")];
  const file = written(gateway);
  const now = await file;
  if (now.locked !== undefined) throw new ApiError(403, "forbidden", now.locked);
  if (now.hash !== hash) {
    const message = "The file has changed since it was read: read it again";
    throw new ApiError(409, "changed", message, { hash: now.hash });
  }
  const issues = await issuesIn(text, gateway, file);
  if (issues.some(({ severity }) => severity === "error")) {
    throw new ApiError(422, "invalid", "This is no valid configuration", { issues });
  }
  const raw = endedAs(now.raw, unmasked(text, now.secrets));
  try {
    await replaceText(now.path, raw);
  } catch (error) {
    throw new ApiError(500, "not_saved", `Cannot save the file: ${systemReason(error)}`);
  }
  const who = visitor.admission?.principal.who;
  log.info("The configuration {file} was saved in the browser", { file: now.path, who });
  return { hash: hashOf(raw) };
}

function textIn(body: JsonObject, name: string): string {
  const text = body[name];
  if (typeof text === "string") return text;
  throw new ApiError(400, "invalid_body", `Expected an object with "${name}"`);
}

/** Paths have commas between them. */
function sourcesOf(file: string): string[] {
  return file.split(", ");
}

/** The file as it is now. */
async function written({ config, redactor }: Gateway) {
  const { settings: { dashboard: { edit } } } = config;
  const sources = sourcesOf(config.file);
  const read = await Promise.all(sources.map((path) => readText(path)));
  const texts = read.map((one) => one.ok ? one.text : `Cannot be read: ${one.why}`);
  const raw = texts.length === 1
    ? texts[0]!
    : texts.map((text, at) => `// ${sources[at]}\n${text}`).join("\n");
  const secrets: string[] = [];
  const number = (secret: string) => {
    if (!secrets.includes(secret)) secrets.push(secret);
    return `[redacted ${secrets.indexOf(secret) + 1}]`;
  };
  // What is refused has secrets that nobody else knows of yet.
  const named = createRedactor(secretsOfText(raw));
  const text = redactor.each(raw, number).split(/(\[redacted \d+\])/)
    .map((part, at) => at % 2 === 1 ? part : named.each(part, number)).join("");
  const path = await realpath(sources[0]!).catch(() => sources[0]!);
  const isWritable = () =>
    Promise.all([path, dirname(path)].map((one) => access(one, constants.W_OK)))
      .then(() => true, () => false);
  const locked = !edit
    ? 'Saving is off: set "dashboard": {"edit": true} to edit the configuration here'
    : sources.length > 1
    ? "The configuration has several files: edit them where they are"
    : !read[0]!.ok || !await isWritable()
    ? "The file may not be written by the gateway"
    : raw.search(PLACEHOLDER) >= 0
    ? 'The file has "[redacted 1]" or the like in it: edit it where it is'
    : undefined;
  // What it says, the same with numbers for secrets, and why it cannot be saved here.
  return { path, raw, text, secrets, hash: hashOf(raw), locked };
}

/** A text with the ends of lines that another has: what fields of pages give has lost them. */
function endedAs(before: string, text: string): string {
  const isDos = before.includes("\r\n") && !/(?<!\r)\n/.test(before);
  return isDos ? text.replace(/\r?\n/g, "\r\n") : text;
}

function hashOf(text: string): string {
  return shortHash(text, 32);
}

/** The text with what stands in the file where numbers are. */
function unmasked(text: string, secrets: readonly string[]): string {
  return text.replace(PLACEHOLDER, (found, number) => secrets[Number(number) - 1] ?? found);
}

/** What is wrong with a text, in which numbers may stand for secrets. */
async function issuesIn(text: string, gateway: Gateway, file = written(gateway)) {
  const { path, secrets } = await file;
  const found = await checkText(unmasked(text, secrets), { file: path, env: process.env });
  // A number may stand anywhere, in a key as well; and what is refused has secrets of its own.
  const own = createRedactor(secrets);
  const shown = (said: string) => gateway.redact(own.text(said));
  return Object.entries({ error: found.issues, warning: found.warnings }).flatMap(
    ([severity, issues]) =>
      issues.map(({ path, line, column, message, remedy }) => ({
        ...{ path: shown(path), line, column, severity },
        message: shown(message),
        hint: remedy && shown(remedy),
      })),
  );
}

/** Readers see the old text or the new one; mode and owner stay. @throws {Error} of the system */
async function replaceText(path: string, text: string): Promise<void> {
  const { mode, uid, gid } = await stat(path);
  const temporary = join(dirname(path), `.${crypto.randomUUID()}.${basename(path)}`);
  try {
    await writeFile(temporary, text, { mode: 0o600, flag: "wx" });
    const made = await stat(temporary);
    if (made.uid !== uid || made.gid !== gid) await chown(temporary, uid, gid);
    await chmod(temporary, mode & 0o7777);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}
