import { rename, writeFile } from "node:fs/promises";
import { type Client, HttpClient } from "../support/clients/http.ts";
import { type Received, resultOf, textOf } from "../support/clients/message.ts";
import { ModernClient } from "../support/clients/modern.ts";
import { SseClient } from "../support/clients/old-sse.ts";
import type { Inbox } from "../support/inbox.ts";
import type { Gateway } from "../support/gateway.ts";
import { rawAt, rawElements } from "../../src/lib/json-edit.ts";
import type { Scope } from "./scope.ts";

/** Calls a tool and returns the response, result or error. */
export function call(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
  meta?: Record<string, unknown>,
): Promise<Received> {
  const params = { name, arguments: args, ...(meta === undefined ? {} : { _meta: meta }) };
  return client.request("tools/call", params);
}

/** Calls a tool and returns its text. @throws {Error} when it is an error */
export async function callText(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
): Promise<string> {
  return textOf(await call(client, name, args));
}

/** The lists, and what identifies an item. */
export const LISTS = {
  tools: { method: "tools/list", field: "tools", key: "name" },
  prompts: { method: "prompts/list", field: "prompts", key: "name" },
  resources: { method: "resources/list", field: "resources", key: "uri" },
  templates: { method: "resources/templates/list", field: "resourceTemplates", key: "uriTemplate" },
} as const;

/** The texts of all items of a list, all pages followed. */
export async function listTexts(client: Client, kind: keyof typeof LISTS): Promise<string[]> {
  const { method, field } = LISTS[kind];
  const texts: string[] = [];
  let cursor: string | undefined;
  do {
    const page = resultOf(await client.request(method, cursor === undefined ? {} : { cursor }));
    const items = rawAt(page.text, [field]);
    if (items === undefined) throw new Error(`Cannot read ${field}: got ${page.text}`);
    texts.push(...rawElements(items)!);
    cursor = page.json.nextCursor;
  } while (cursor !== undefined);
  return texts;
}

/** The names (or URIs) of all items of a list. */
export async function listKeys(client: Client, kind: keyof typeof LISTS): Promise<string[]> {
  const texts = await listTexts(client, kind);
  return texts.map((text) => JSON.parse(text)[LISTS[kind].key]);
}

/** One client per way into the gateway over HTTP. */
export async function everyClient(
  gateway: Gateway,
  scope: Scope,
): Promise<readonly (readonly [string, Client])[]> {
  return [
    ["legacy", await HttpClient.connect(gateway.url)],
    ["modern", new ModernClient(gateway.url)],
    ["sse", scope.use(await SseClient.connect(`${gateway.base}/sse`))],
  ];
}

/**
 * Waits until a list holds a key, listing again only when `heard` says that it changed: a change
 * that is not announced is never seen.
 */
export async function listedAfter(
  client: Client,
  kind: keyof typeof LISTS,
  key: string,
  heard: Inbox<Received>,
): Promise<void> {
  for (;;) {
    // Taken before the list is: what is announced while it is made must not be missed.
    const from = heard.items.length;
    if ((await listKeys(client, kind)).includes(key)) return;
    await heard.waitFor(({ json }) => /list_changed$/.test(json?.method), { from });
  }
}

/** Another file in place of a gateway's configuration, as `mv` and most editors do it. */
export async function replaceConfig(gateway: Gateway, config: unknown): Promise<void> {
  const next = `${gateway.configPath}.next`;
  await writeFile(next, typeof config === "string" ? config : JSON.stringify(config));
  await rename(next, gateway.configPath);
}
