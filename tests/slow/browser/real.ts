/** One gateway with real servers and one browser, for every page and flow that is tried on a program. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import type { Browser, Page } from "playwright-core";
import { localKeyFile } from "../../../src/app/local-key.ts";
import { ModernClient } from "../../support/clients/modern.ts";
import { Control } from "../../support/fakes/interactive.ts";
import { type Gateway, startGateway } from "../../support/gateway.ts";
import { eventually } from "../../support/inbox.ts";
import type { Mode } from "../../support/program.ts";
import { assertQuiet, launch, open, type Watched } from "./harness.ts";

const EVERYTHING = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";

const TEXT = `{
  // What is kept as it is.
  "port": 0,
  "dashboard": { "mode": "auto", "edit": true },
  "mcpServers": MCP_SERVERS
}
`;

/** A call that fails each time, with the same words. */
export const WRONG = {
  name: "everything_get-annotated-message",
  arguments: { messageType: "none" },
};

export let browser: Browser;
export let control: Control;
export let gateway: Gateway;
/** What its pages are opened with. */
export let key: string;

/** Starts both; what it runs on is what the step says. */
export async function begin(): Promise<void> {
  control = await Control.start();
  const servers = {
    everything: { command: "node", args: [EVERYTHING] },
    fake: await control.http({ name: "fake" }),
    // Nobody listens there.
    gone: { url: "http://127.0.0.1:1/mcp" },
  };
  const config = TEXT.replace("MCP_SERVERS", JSON.stringify(servers));
  const mode = (process.env["GATEWAY"] ?? "memory") as Mode;
  [browser, gateway] = await Promise.all([launch(), startGateway({ mode, config })]);
  await gateway.ready();
  key = await pageKey();
  await Promise.all([call("fake_echo", { tag: "first" }), call(WRONG.name, WRONG.arguments)]);
}

/** Ends what has begun. */
export async function end(): Promise<void> {
  await browser?.close();
  await gateway?.stop();
  await control?.close();
}

/** What opens a page, as `mcproxy ui` gets it: by the key that lies on this machine. */
async function pageKey(): Promise<string> {
  const file = localKeyFile(join(dirname(gateway.configPath), "state"), gateway.port);
  const local = await eventually(
    () => readFile(file, "utf8").then((text) => text.split("\n")[0]!, () => ""),
    (text) => text !== "",
    "the local key",
  );
  const headers = { authorization: `Bearer ${local}` };
  const response = await fetch(`${gateway.base}/api/ui-key`, { method: "POST", headers });
  assert.equal(response.status, 200);
  return (await response.json()).key;
}

/** Calls a tool, as some other client does. */
export async function call(name: string, args: object): Promise<void> {
  await new ModernClient(gateway.url).request("tools/call", { name, arguments: args });
}

export const at = (hash: string) => new URL(`/#/${hash}`, gateway.url).href;

/** A page of the gateway, opened with a key; an empty one is none. */
export function openPage(hash: string, withKey = key): Promise<Watched> {
  return open(browser, at(hash), { still: false, key: withKey });
}

/** A page of the gateway, which has said nothing it should not have when it closes. */
export async function withPage(
  hash: string,
  run: (page: Page) => Promise<void>,
): Promise<void> {
  const watched = await openPage(hash);
  await run(watched.page);
  assertQuiet(watched, hash);
  await watched.close();
}
