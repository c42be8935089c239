/** What `connect` makes of the text of a client's file. Reads and writes nothing. */

import { configurationError } from "../../app/configuration.ts";
import { CliError, ExitCode } from "../../app/exit.ts";
import { describeKind } from "../../config/issue.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { type ClientApp, ENTRY_NAME } from "./clients.ts";
import { valueAt } from "./entries.ts";
import { applyEdits, type Edit, putProperty, removeProperty } from "./json-text.ts";
import { parseClientText } from "./read.ts";

/** A text, and how it came to be. */
export interface Edited {
  readonly text: string;
  /** Offsets count from behind the byte order mark. */
  readonly edits: readonly Edit[];
}

/** What an edit is about. */
export interface EditContext {
  readonly client: ClientApp;
  /** Absolute, for messages and to tell the format. */
  readonly path: string;
  /** Where messages see paths from. */
  readonly cwd: string;
}

/** The keys from the root to the gateway's entry. */
export function entryPath({ section }: ClientApp): readonly string[] {
  return [...section, ENTRY_NAME];
}

/**
 * The gateway's entry in a file, if it has one.
 * @throws {CliError} exit code 3 where the file does not parse or its section is no object
 */
export async function readEntry(text: string, context: EditContext): Promise<unknown> {
  return valueAt(await valueOf(text, context), entryPath(context.client));
}

/** The text with the entry in it, in place of the one that is there. @throws {CliError} */
export async function withEntry(text: string, entry: Json, context: EditContext): Promise<Edited> {
  const { client } = context;
  const path = entryPath(client);
  const expected = structuredCloneOf(await valueOf(text, context));
  let parent = expected;
  for (const key of client.section) parent = (parent[key] ??= {}) as JsonObject;
  parent[ENTRY_NAME] = entry;
  return await edited(text, expected, context, async (body) => {
    if (client.format === "json") return putProperty(body, path, entry);
    const { putTable } = await import("./toml.ts");
    return putTable(body, path, entry as JsonObject);
  });
}

/** The text without the entry. @throws {CliError} */
export async function withoutEntry(text: string, context: EditContext): Promise<Edited> {
  const { client } = context;
  const path = entryPath(client);
  const expected = structuredCloneOf(await valueOf(text, context));
  const parent = valueAt(expected, client.section);
  if (isObject(parent)) delete parent[ENTRY_NAME];
  return await edited(text, expected, context, async (body) => {
    if (client.format === "json") return removeProperty(body, path);
    const { removeTable } = await import("./toml.ts");
    return removeTable(body, path);
  });
}

/** Edits, and looks at what came out: nothing but the entry may be different. */
async function edited(
  text: string,
  expected: JsonObject,
  context: EditContext,
  edit: (body: string) => Promise<readonly Edit[]>,
): Promise<Edited> {
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : "";
  const body = text.slice(mark.length);
  const edits = await edit(body);
  const result = applyEdits(body, edits);
  const parsed = result.trim() === ""
    ? undefined
    : await parseClientText(result, context.path).then((one) => one.ok ? one.document.value : null);
  if (textOf(parsed ?? {}, context) !== textOf(expected, context)) {
    throw new CliError(
      ExitCode.Failed,
      `Cannot edit ${JSON.stringify(context.path)}: its servers are written in a way that cannot ` +
        `be changed without rewriting them; expected to find ${
          context.client.section.join(".")
        } as other files have it`,
      { hint: "The file was left as it is; edit it by hand" },
    );
  }
  return { text: mark + result, edits };
}

/** Empty sections count as absent: TOML has no place for them once their last table has gone. */
function textOf(value: unknown, { client }: EditContext): string {
  if (client.format === "json") return JSON.stringify(value);
  const [key = ""] = client.section;
  return JSON.stringify(
    value,
    (name, inner: unknown) =>
      name === key && isObject(inner) && Object.keys(inner).length === 0 ? undefined : inner,
  );
}

async function valueOf(text: string, { client, path, cwd }: EditContext): Promise<JsonObject> {
  if (text.replace("\uFEFF", "").trim() === "") return {};
  const parsed = await parseClientText(text, path);
  if (!parsed.ok) throw configurationError(parsed.issues, cwd);
  const { document } = parsed;
  for (const depth of client.section.keys()) {
    const keys = client.section.slice(0, depth + 1);
    const found = valueAt(document.value, keys);
    if (found === undefined || isObject(found)) continue;
    const message = `found ${describeKind(found)}, expected an object of servers`;
    const issue = { file: path, ...document.position(keys), path: keys.join("."), message };
    throw configurationError([issue], cwd);
  }
  return document.value as JsonObject;
}

function structuredCloneOf(value: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}
