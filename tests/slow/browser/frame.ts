/// <reference lib="dom" />
/** The frame of the dashboard, Overview, Servers, Calls and Log of a real gateway: each flow by keys. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { assertQuiet, focused, inChromium, keepFocus } from "./harness.ts";
import { at, call, key, openPage, withPage } from "./real.ts";

const rows = (page: Page) => page.locator("main [data-row]");
const live = (page: Page) => page.locator(".live.live").waitFor();

/** What tells of calls; one that is opened for less comes before it. */
const CALLS_STREAM = /\/api\/events\?topics=[^&]*calls/;

test(
  "a page is gone to, a call opened and closed by keys, and the focus returns",
  inChromium,
  () =>
    withPage("overview", async (page) => {
      const { keyboard } = page;
      await page.getByRole("table", { name: "Servers" }).getByText("gone").waitFor();
      await keyboard.press("g");
      await keyboard.press("c");
      await page.getByRole("table", { name: "Calls" }).locator("[data-row]").first().waitFor();
      for (const key of ["j", "j", "k", "Enter"]) await keyboard.press(key);
      await page.getByRole("complementary", { name: "Call" }).getByText("tools/call").waitFor();
      assert.match(page.url(), /#\/calls\/\w/);
      const isBack = await keepFocus(page);
      await page.getByRole("button", { name: "Close" }).focus();
      await keyboard.press("Escape");
      await page.getByRole("complementary", { name: "Call" }).waitFor({ state: "detached" });
      await isBack();
      await page.goBack();
      await page.getByRole("button", { name: /^Try again/ }).waitFor();
      // What was called is tried again, where its tool is.
      await keyboard.press("r");
      await page.waitForURL(/#\/tools\//);
    }),
);

test(
  "a filter is typed, is in the address, and can be taken away; no key acts while typing",
  inChromium,
  () =>
    withPage("calls", async (page) => {
      const other = page.locator("td", { hasText: "everything_get-annotated" }).first();
      await other.waitFor();
      await page.keyboard.press("/");
      assert.equal(await focused(page), "Filter calls");
      await page.keyboard.type("server:fake gj?");
      assert.equal(await page.locator("dialog").count(), 0);
      for (let at = 0; at < 4; at++) await page.keyboard.press("Backspace");
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Remove server:fake" }).waitFor();
      assert.equal(new URL(page.url()).hash, "#/calls?filter=server%3Afake");
      await other.waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Remove server:fake" }).press("Enter");
      await other.waitFor();
    }),
);

test(
  "the palette finds and does, the list of keys tells; both give the focus back",
  inChromium,
  () =>
    withPage("servers", async (page) => {
      await rows(page).first().waitFor();
      await page.keyboard.press("j");
      const isBack = await keepFocus(page);
      await page.keyboard.press("?");
      await page.getByRole("dialog", { name: "Keys" }).waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await isBack();
      await page.keyboard.press("Control+k");
      await page.getByRole("dialog", { name: "Find or do" }).waitFor();
      await page.keyboard.type("everyth");
      await page.getByRole("option", { name: /^everything/ }).waitFor();
      await page.keyboard.press("Enter");
      await page.getByRole("complementary", { name: "Server" }).waitFor();
      assert.match(page.url(), /#\/servers\/everything$/);
    }),
);

test(
  "a server is restarted by keys, and its page follows",
  inChromium,
  () =>
    withPage("servers/fake", async (page) => {
      const server = page.getByRole("complementary", { name: "Server" });
      await server.getByText("ready", { exact: true }).first().waitFor();
      await page.keyboard.press("r");
      await server.getByText("It is restarted.").waitFor();
      await server.getByText("ready", { exact: true }).first().waitFor();
    }),
);

test(
  "calls follow",
  inChromium,
  () =>
    withPage("calls", async (page) => {
      await Promise.all([rows(page).first().waitFor(), live(page)]);
      const stream = page.waitForResponse(CALLS_STREAM);
      await page.keyboard.press("f");
      await stream;
      await call("fake_declared", { tag: "follows" });
      await page.locator("tbody tr").first().getByText("fake_declared").waitFor();
    }),
);

test(
  "the log is of a level and has a text, and follows until it is told not to",
  inChromium,
  () =>
    withPage("log", async (page) => {
      const table = page.getByRole("table", { name: "Log" });
      await table.getByText(/Listening on/).first().waitFor();
      await page.getByRole("group", { name: "Level" }).getByRole("button", { name: "Warning" })
        .press("Enter");
      await table.getByText(/gone/).first().waitFor();
      await table.getByText(/Listening on/).first().waitFor({ state: "detached" });
      await page.keyboard.press("/");
      await page.keyboard.type("no line has this");
      await page.getByText("No line is like that.").waitFor();
      await page.keyboard.press("Escape");
      await page.keyboard.press("f");
      await page.waitForURL(/follow=0/);
    }),
);

test(
  "a key that a link brings is taken from the address, and counts for the tab",
  inChromium,
  async () => {
    const watched = await openPage("overview", "");
    const { page } = watched;
    const servers = page.getByRole("table", { name: "Servers" });
    await servers.waitFor();
    const asked = page.waitForRequest((request) =>
      request.headers()["authorization"] !== undefined
    );
    await page.goto(at(`overview`).replace(/#.*/, `#key=${encodeURIComponent(key)}`));
    assert.equal((await asked).headers()["authorization"], `Bearer ${key}`);
    await servers.waitFor();
    assert.equal(new URL(page.url()).hash, "#/overview");
    await page.keyboard.press("g");
    await page.keyboard.press("c");
    await page.getByRole("table", { name: "Calls" }).locator("[data-row]").first().waitFor();
    assertQuiet(watched, "with a key");
    await watched.close();
  },
);

test(
  "a page that nobody sees has no stream, and opens it again when it is seen",
  inChromium,
  () =>
    withPage("calls?follow=1", async (page) => {
      const isStream = (request: { url(): string }) => /\/api\/events\b/.test(request.url());
      await live(page);
      // A browser that is driven says of every page that it is seen.
      const turn = (hidden: boolean) =>
        page.evaluate((hidden) => {
          Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
          document.dispatchEvent(new Event("visibilitychange"));
        }, hidden);
      const closed = page.waitForEvent("requestfailed", isStream);
      await turn(true);
      await closed;
      await page.locator(".live.paused").waitFor();
      const opened = page.waitForResponse(CALLS_STREAM);
      await turn(false);
      await opened;
      await live(page);
      await call("fake_echo", { tag: "seen" });
      await page.locator("tbody tr").first().getByText("fake_echo").waitFor();
    }),
);
