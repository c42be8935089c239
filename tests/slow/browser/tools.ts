/// <reference lib="dom" />
/** Tools, Usage, Alerts and Configuration of a real gateway: each flow by keys. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import type { Locator, Page } from "playwright-core";
import { inChromium, violations } from "./harness.ts";
import { at, control, gateway, key, openPage, withPage, WRONG } from "./real.ts";

/** Asks again until it is there: the history is written within seconds of a call. */
async function written(page: Page, table: string, what: Locator): Promise<void> {
  await page.getByRole("table", { name: table }).waitFor();
  while (await what.count() === 0) {
    await Promise.all([page.waitForResponse(/\/api\/(?:usage|problems)/), page.reload()]);
    await page.getByRole("table", { name: table }).waitFor();
  }
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
        const client = page.getByRole("link", { name: /^dashboard/ });
        await written(page, "Usage", client);
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
      const table = page.getByRole("table", { name: "Problems" });
      const problem = table.getByRole("row").filter({ hasText: WRONG.name });
      await written(page, "Problems", problem);
      await problem.getByRole("button", { name: "Done" }).press("Enter");
      await problem.waitFor({ state: "detached" });
      const states = page.getByRole("group", { name: "State" });
      await states.getByRole("button", { name: "Done" }).press("Enter");
      await problem.getByRole("button", { name: "Open" }).press("Enter");
      await problem.waitFor({ state: "detached" });
      await states.getByRole("button", { name: "Open" }).press("Enter");
      await problem.waitFor();
    }),
);

test(
  "the configuration is checked while it is written, shown as a difference, and saved",
  inChromium,
  () =>
    withPage("config", async (page) => {
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
    const watched = await openPage("config", "mcproxy_of-yesterday");
    const { page } = watched;
    const text = page.getByRole("textbox", { name: "Text" });
    await text.waitFor();
    const before = await text.inputValue();
    await text.fill(before.replace("Is kept as it is", "Is kept as it was"));
    const dialog = page.getByRole("dialog", { name: "Key" });
    const save = page.getByRole("button", { name: "Save" });
    await save.press("Enter");
    await dialog.getByText("The key does not count any more.").waitFor();
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await page.getByText(/^Unauthorized: .*mcproxy ui/).waitFor();
    await save.press("Enter");
    await dialog.getByLabel("Key").fill(key);
    await page.keyboard.press("Enter");
    await save.and(page.locator(":disabled")).waitFor();
    assert.match(await readFile(gateway.configPath, "utf8"), /Is kept as it was\./);
    // What the browser says of each answer without a key, and nothing else.
    assert.deepEqual(watched.said().filter((line) => !line.includes("401")), []);
    await watched.close();
  },
);
