/// <reference lib="dom" />
/** Tools, Usage, Alerts and Configuration in Chromium: each flow by keys, against a real gateway. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import process from "node:process";
import type { Browser, Page } from "playwright-core";
import { NASTY } from "../../front/dashboard/nasty-schemas.ts";
import { Control } from "../../support/fakes/interactive.ts";
import { type Gateway, startGateway } from "../../support/gateway.ts";
import type { Mode } from "../../support/program.ts";
import { assertQuiet, inChromium, launch, open, overflow, violations } from "./harness.ts";

const EVERYTHING = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";

const TEXT = `{
  // What is kept as it is.
  "port": 0,
  "dashboard": { "mode": "auto", "edit": true },
  "mcpServers": MCP_SERVERS
}
`;

let browser: Browser;
let control: Control;
let gateway: Gateway;

before(async () => {
  if (inChromium.skip) return console.log(inChromium.skip);
  control = await Control.start();
  const servers = {
    everything: { command: "node", args: [EVERYTHING] },
    fake: await control.http({ name: "fake" }),
  };
  const config = TEXT.replace("MCP_SERVERS", JSON.stringify(servers));
  // What it runs on is what the step says.
  const mode = (process.env["GATEWAY"] ?? "memory") as Mode;
  [browser, gateway] = await Promise.all([launch(), startGateway({ mode, config })]);
  await gateway.ready();
});

after(async () => {
  await browser?.close();
  await gateway?.stop();
  await control?.close();
});

const at = (hash: string) =>
  new URL(hash.startsWith("key=") ? `/#${hash}` : `/#/${hash}`, gateway.url).href;

/** What the gateway's own commands are let in by. */
async function localKey(): Promise<string> {
  const state = join(dirname(gateway.configPath), "state");
  return (await readFile(join(state, `local.${gateway.port}.key`), "utf8")).split("\n")[0]!;
}

/** A key as `mcproxy ui` opens the page with. */
async function pageKey(): Promise<string> {
  const headers = { authorization: `Bearer ${await localKey()}` };
  const told = await fetch(new URL("/api/ui-key", gateway.url), { method: "POST", headers });
  return (await told.json()).key;
}

/** A page of the gateway, which has said nothing it should not have when it closes. */
async function withPage(hash: string, run: (page: Page) => Promise<void>): Promise<void> {
  const watched = await open(browser, at(hash), { still: false });
  await run(watched.page);
  assertQuiet(watched, hash);
  await watched.close();
}

const region = (page: Page, name: string) => page.getByRole("region", { name, exact: true });

test(
  "a tool is found, filled in and called by keys alone",
  inChromium,
  () =>
    withPage("overview", async (page) => {
      await page.getByRole("heading", { name: "Overview" }).waitFor();
      const { keyboard } = page;
      await keyboard.press("g");
      await keyboard.press("t");
      await page.getByText("get-annotated-message").waitFor();
      await keyboard.press("/");
      await keyboard.type("annotated");
      await page.getByText("echo", { exact: true }).waitFor({ state: "detached" });
      await keyboard.press("Escape");
      await keyboard.press("j");
      await keyboard.press("Enter");
      const choice = page.getByLabel(/^messageType/);
      await choice.waitFor();
      // Nothing is sent that does not fit, until somebody insists; what is wrong has the focus.
      await choice.focus();
      await keyboard.press("Control+Enter");
      await page.getByText("Required", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Call anyway" }).waitFor();
      await keyboard.press("ArrowDown");
      await page.getByRole("button", { name: /^Call Ctrl/ }).waitFor();
      await keyboard.press("Control+Enter");
      await region(page, "Result").getByText("Done").waitFor();
      await region(page, "Text").getByText("Error: Operation failed").waitFor();
      await page.waitForFunction(() =>
        decodeURIComponent(location.hash).includes('{"messageType"')
      );
      // It only reads, so `r` does it again; the tries before are still there.
      await page.getByRole("heading", { level: 2 }).first().click();
      await page.evaluate(() => (document.activeElement as HTMLElement).blur());
      await keyboard.press("r");
      await page.getByText("2 of 2").waitFor();
      await keyboard.press("[");
      await page.getByText("1 of 2").waitFor();
      const calls = page.getByRole("link", { name: /calls$/ });
      assert.match((await calls.getAttribute("href"))!, /^#\/calls\?filter=name/);
    }),
);

test(
  "an address brings the arguments; JSON is sent as it is written",
  inChromium,
  () =>
    withPage(
      `tools/everything_get-sum?args=${encodeURIComponent('{"a":2,"b":3}')}`,
      async (page) => {
        await page.getByLabel(/^a required/).waitFor();
        assert.equal(await page.getByLabel(/^b required/).inputValue(), "3");
        await page.getByRole("button", { name: "As JSON" }).press("Enter");
        const text = page.getByLabel(/^Arguments JSON/);
        const sent = page.waitForRequest((request) => request.url().endsWith("/mcp"));
        await text.fill('{ "a": 1.0, "b": 9007199254740993 }');
        await text.press("Control+Enter");
        assert.ok(
          (await sent).postData()!.includes('"arguments":{ "a": 1.0, "b": 9007199254740993 }'),
        );
        await region(page, "Text").waitFor();
        await page.getByRole("button", { name: "As a form" }).press("Enter");
        assert.equal(await page.getByLabel(/^b required/).inputValue(), "9007199254740993");
        await text.waitFor({ state: "detached" });
      },
    ),
);

test(
  "progress is followed, a long call is cancelled",
  inChromium,
  () =>
    withPage(
      `tools/fake_wait?args=${encodeURIComponent('{"tag":"w","key":"never"}')}`,
      async (page) => {
        await page.getByRole("button", { name: /^Call/ }).press("Enter");
        await page.getByRole("tab", { name: "Events 1" }).waitFor();
        await page.getByRole("progressbar").waitFor();
        await page.getByRole("button", { name: "Cancel" }).press("Enter");
        await region(page, "Result").getByText("Cancelled").waitFor();
        await control.events.waitFor(({ kind, tag }) => kind === "cancelled" && tag === "w");
      },
    ),
);

test(
  "a server's question is a form that is answered by keys",
  inChromium,
  () =>
    withPage(`tools/fake_rounds?args=${encodeURIComponent('{"tag":"q"}')}`, async (page) => {
      await page.getByRole("button", { name: /^Call/ }).press("Enter");
      for (const round of [1, 2, 3]) {
        await page.getByText(`q ${round}`, { exact: true }).waitFor();
        const answer = page.getByRole("form", { name: "Question" }).getByLabel(/^answer/);
        await answer.waitFor();
        await page.waitForFunction(() => document.activeElement?.closest(".ask") !== null);
        await page.keyboard.type(`answer ${round}`);
        await page.keyboard.press("Tab");
        await page.keyboard.press("Tab");
        await page.getByRole("button", { name: "Accept" }).press("Enter");
      }
      await region(page, "Text").getByText(/answer 3/).waitFor();
    }),
);

test(
  "usage leads to its calls; the client is there as itself",
  inChromium,
  () =>
    withPage(
      `tools/everything_echo?args=${encodeURIComponent('{"message":"x"}')}`,
      async (page) => {
        await page.getByRole("button", { name: /^Call Ctrl/ }).press("Enter");
        await region(page, "Text").getByText("Echo: x").waitFor();
        await page.goto(at("usage?by=client&range=24h"));
        // The history is written within seconds of a call.
        const client = page.getByRole("link", { name: /^dashboard/ });
        const answered = () => page.waitForResponse(/\/api\/usage/);
        await page.getByRole("table", { name: "Usage" }).waitFor();
        while (await client.count() === 0) {
          await Promise.all([answered(), page.reload()]);
          await page.getByRole("table", { name: "Usage" }).waitFor();
        }
        await client.press("Enter");
        await page.getByRole("heading", { name: "Calls" }).waitFor();
        await page.getByRole("table").getByText("everything_echo").first().waitFor();
      },
    ),
);

test(
  "a problem is done with, and opened again",
  inChromium,
  () =>
    withPage("alerts", async (page) => {
      let state = "open";
      const problem = {
        fingerprint: "f/1",
        server: "s",
        name: "s_t",
        text: "went <b>wrong</b>",
        count: 3,
      };
      await page.route("**/api/problems**", async (route) => {
        const request = route.request();
        if (request.method() === "POST") state = request.postDataJSON().state;
        const asked = new URL(request.url()).searchParams.get("state");
        const items = asked === state
          ? [{ ...problem, first: 1, last: 2, sampleCall: "c", state }]
          : [];
        await route.fulfill({ json: { items, next: null } });
      });
      await page.reload();
      await page.getByText("went <b>wrong</b>").waitFor();
      await page.getByRole("table", { name: "Problems" }).getByRole("button", { name: "Done" })
        .press("Enter");
      await page.getByText("None.").waitFor();
      await page.getByRole("group", { name: "State" }).getByRole("button", { name: "Done" }).press(
        "Enter",
      );
      await page.getByRole("table", { name: "Problems" }).getByRole("button", { name: "Open" })
        .press("Enter");
      assert.equal(state, "open");
    }),
);

test(
  "the configuration is checked while it is written, shown as a difference, and saved",
  inChromium,
  async () =>
    withPage(`key=${await pageKey()}`, async (page) => {
      await page.goto(at("config"));
      const text = page.getByRole("textbox", { name: "Text" });
      await text.waitFor();
      const before = await text.inputValue();
      await text.fill(before.replace('"port": 0', '"prot": 0'));
      await page.getByText(/prot/).first().waitFor();
      await page.getByRole("button", { name: "line 3" }).press("Enter");
      assert.equal(await page.evaluate(() => getSelection()!.toString()), '  "prot": 0,');
      await text.fill(before.replace("What is kept", "Is kept"));
      await page.getByRole("tab", { name: "Text" }).press("ArrowRight");
      await region(page, "Difference").getByText("+   // Is kept as it is.").waitFor();
      await page.getByRole("button", { name: "Save" }).press("Enter");
      await page.getByRole("button", { name: "Save" }).and(page.locator(":disabled")).waitFor();
      assert.match(await readFile(gateway.configPath, "utf8"), /\/\/ Is kept as it is\./);
    }),
);

test(
  "a change asks for a key, once, and goes on with what was written; reading needs none",
  inChromium,
  async () => {
    const watched = await open(browser, at("key=mcproxy_of-yesterday"), { still: false });
    const { page } = watched;
    await page.goto(at("config"));
    const text = page.getByRole("textbox", { name: "Text" });
    await text.waitFor();
    const before = await text.inputValue();
    await text.fill(before.replace("kept as it is", "kept as it was"));
    const dialog = page.getByRole("dialog", { name: "Key" });
    const save = page.getByRole("button", { name: "Save" });
    await save.press("Enter");
    await dialog.getByText("The key does not count any more.").waitFor();
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await page.getByText(/^Unauthorized: .*mcproxy ui/).waitFor();
    await save.press("Enter");
    await dialog.getByLabel("Key").fill(await pageKey());
    await page.keyboard.press("Enter");
    await save.and(page.locator(":disabled")).waitFor();
    assert.match(await readFile(gateway.configPath, "utf8"), /kept as it was\./);
    // What the browser says of each answer without a key, and nothing else.
    assert.deepEqual(watched.said().filter((line) => !line.includes("401")), []);
    await watched.close();
  },
);

test(
  "every page at three widths and in both schemes is whole, and silent",
  inChromium,
  async () => {
    const tool = `tools/everything_gzip-file-as-resource?args=${encodeURIComponent('{"name":1}')}`;
    for (const scheme of ["light", "dark"] as const) {
      const watched = await open(browser, at("tools"), { scheme, still: false });
      for (const hash of [tool, "usage", "alerts", "config"]) {
        await watched.page.goto(at(hash));
        await watched.page.locator("main section .panel").first().waitFor();
        await watched.settled();
        for (const width of [390, 1024, 1440]) {
          await watched.page.setViewportSize({ width, height: 900 });
          assert.equal(await overflow(watched.page), 0, `${hash} at ${width} px`);
          assert.deepEqual(await violations(watched.page), [], `${hash} at ${width} px, ${scheme}`);
        }
      }
      assertQuiet(watched, scheme);
      await watched.close();
    }
  },
);

test(
  "no schema breaks the page, however nasty",
  inChromium,
  () =>
    withPage("tools", async (page) => {
      const nasty = `<img src=x onerror="alert(1)">`;
      await page.route("**/api/tools/*", (route) => {
        const name = decodeURIComponent(new URL(route.request().url()).pathname.split("/").at(-1)!);
        const { schema } = NASTY[Number(name)]!;
        return route.fulfill({ json: { name, description: nasty, inputSchema: schema } });
      });
      for (const [index, { name }] of NASTY.entries()) {
        await page.goto(at(`tools/${index}`));
        await page.getByRole("heading", { name: `${index}`, exact: true }).waitFor();
        assert.ok(await page.locator("*").count() < 6_000, name);
        assert.equal(await page.getByText(nasty).count(), 1, name);
      }
      assert.equal(await page.locator("main img").count(), 0);
    }),
);

test(
  "a hundred thousand tools are a list that is found by name",
  inChromium,
  () =>
    withPage("overview", async (page) => {
      const tools = Array.from(
        { length: 100_000 },
        (_, at) => ({ exposed: `s_t${at}`, own: `t${at}` }),
      );
      await page.route(
        "**/api/tools",
        (route) => route.fulfill({ json: { servers: [{ name: "s", tools }] } }),
      );
      await page.goto(at("tools"));
      await page.getByText("99\u202f500 more").waitFor();
      await page.getByLabel("Find a tool").fill("t77777");
      await page.getByText("t77777", { exact: true }).waitFor();
      assert.equal(await page.locator("[data-row]").count(), 1);
    }),
);
