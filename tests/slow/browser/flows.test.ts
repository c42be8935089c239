/// <reference lib="dom" />
/** The frame of the dashboard and its lists in Chromium: keys, following, loss, keys of the door, masses. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { assertQuiet, focused, inChromium, launch, open, SampleServer } from "./harness.ts";
import { newSample, NOW, sampleCall } from "./sample.ts";

const HOSTILE = `<img src=x onerror=alert(1)>"'\`\${}</script>\u202e${"n".repeat(10_000)}`;

let browser: Browser;
let server: SampleServer;

before(async () => {
  if (inChromium.skip) return console.log(inChromium.skip);
  [browser, server] = await Promise.all([launch(), SampleServer.start()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A page of the sample as it is, which has said nothing it should not have when it closes. */
async function withPage(hash: string, run: (page: Page) => Promise<void>, expected?: RegExp) {
  Object.assign(server.sample, newSample(), { streams: server.sample.streams, calls: 40 });
  const watched = await open(browser, `${server.url}#/${hash}`);
  await watched.page.locator("main section > *").first().waitFor();
  await run(watched.page);
  if (expected === undefined) assertQuiet(watched, hash);
  else assert.deepEqual(watched.said().filter((line) => !expected.test(line)), [], hash);
  await watched.close();
}

const rows = (page: Page) => page.locator("main tbody tr");
const live = (page: Page) => page.locator(".live.live").waitFor();

/** Tells all open streams. */
function tell(event: string, data: unknown): void {
  for (const stream of server.sample.streams) stream(event, data);
}

test(
  "a page is gone to, a row opened and closed by keys, and the focus returns",
  inChromium,
  () =>
    withPage("overview", async (page) => {
      const { keyboard } = page;
      await keyboard.press("g");
      await keyboard.press("c");
      await page.getByRole("heading", { name: "Calls" }).waitFor();
      await rows(page).first().waitFor();
      for (const key of ["j", "j", "k", "Enter"]) await keyboard.press(key);
      await page.getByRole("complementary", { name: "Call" }).waitFor();
      assert.match(page.url(), /#\/calls\/c0$/);
      const row = await focused(page);
      await page.getByRole("button", { name: "Close" }).focus();
      await keyboard.press("Escape");
      await page.getByRole("complementary", { name: "Call" }).waitFor({ state: "detached" });
      assert.equal(await focused(page), row);
      await page.goBack();
      await page.getByRole("complementary", { name: "Call" }).waitFor();
    }),
);

test(
  "a filter is typed, is in the address, and can be taken away; no key acts while typing",
  inChromium,
  () =>
    withPage("calls", async (page) => {
      await rows(page).first().waitFor();
      await page.keyboard.press("/");
      assert.equal(await focused(page), "Filter calls");
      await page.keyboard.type("server:postgres gj?");
      assert.equal(await page.locator("dialog").count(), 0);
      for (let at = 0; at < 4; at++) await page.keyboard.press("Backspace");
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Remove server:postgres" }).waitFor();
      assert.equal(new URL(page.url()).hash, "#/calls?filter=server%3Apostgres");
      await page.locator("td", { hasText: "github_search_code" }).first().waitFor({
        state: "detached",
      });
      await page.getByRole("button", { name: "Remove server:postgres" }).click();
      await page.locator("td", { hasText: "github_search_code" }).first().waitFor();
    }),
);

test(
  "the palette finds and does, the list of keys tells; both give the focus back",
  inChromium,
  () =>
    withPage("servers", async (page) => {
      await rows(page).first().waitFor();
      await page.keyboard.press("j");
      const row = await focused(page);
      await page.keyboard.press("?");
      await page.getByRole("dialog", { name: "Keys" }).waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      assert.equal(await focused(page), row);
      await page.keyboard.press("Control+k");
      await page.getByRole("dialog", { name: "Find or do" }).waitFor();
      await page.keyboard.type("postgr");
      await page.keyboard.press("Enter");
      await page.getByRole("complementary", { name: "Server" }).waitFor();
      assert.match(page.url(), /#\/servers\/postgres$/);
    }),
);

test(
  "calls follow, and hold still under the pointer",
  inChromium,
  () =>
    withPage("calls?follow=1", async (page) => {
      await Promise.all([rows(page).first().waitFor(), live(page)]);
      const first = () => rows(page).first().innerText();
      const come = (id: string, at: number) =>
        tell("calls", { items: [{ ...sampleCall(0), id, name: id, at }], left: 0 });
      come("new_one", NOW + 1);
      await page.getByText("new_one").waitFor();
      assert.match(await first(), /new_one/);
      await rows(page).nth(2).hover();
      come("new_two", NOW + 2);
      await page.getByRole("button", { name: "1 new" }).waitFor();
      assert.match(await first(), /new_one/);
      await page.getByRole("heading", { name: "Calls" }).hover();
      await page.getByText("new_two").waitFor();
      assert.match(await first(), /new_two/);
    }),
);

test(
  "a gateway that is lost dims the page, which comes back by itself",
  inChromium,
  () =>
    withPage("overview", async (page) => {
      await live(page);
      await server.stop();
      await page.locator("main.lost").waitFor();
      await page.getByText("Gateway lost").waitFor();
      assert.ok(await page.getByText("Seven of eight servers answer.").isVisible());
      await server.listen();
      await page.locator("main:not(.lost)").waitFor();
      await live(page);
    }, /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/),
);

test(
  "a door asks for a key, which a link brings and nothing shows",
  inChromium,
  () =>
    withPage("overview", async (page) => {
      server.sample.before = (request, path) =>
        path.startsWith("/api/") && request.headers.get("authorization") !== "Bearer the key"
          ? Response.json({ error: "unauthorized" }, { status: 401 })
          : undefined;
      await page.reload();
      await page.getByLabel("Key", { exact: true }).fill("the key");
      await page.getByRole("button", { name: "Open" }).click();
      await page.getByText("Seven of eight servers answer.").waitFor();

      await page.evaluate(() => sessionStorage.clear());
      await page.goto(`${server.url}#key=${encodeURIComponent("the key")}`);
      await page.getByText("Seven of eight servers answer.").waitFor();
      assert.doesNotMatch(page.url(), /key/);
      await page.reload();
      await page.getByText("Seven of eight servers answer.").waitFor();
    }, /status of 401/),
);

test(
  "what a server is called is text, however it is",
  inChromium,
  () =>
    withPage("calls", async (page) => {
      server.sample.call = (index) => ({
        ...sampleCall(index),
        name: HOSTILE,
        client: HOSTILE.slice(0, 64),
        server: HOSTILE.slice(0, 40),
      });
      await page.reload();
      await rows(page).first().waitFor();
      await page.locator("[data-row]").first().click();
      await page.getByRole("complementary", { name: "Call" }).waitFor();
      assert.equal(await page.locator("main img").count(), 0);
      const wide = () => document.documentElement.scrollWidth - innerWidth;
      assert.equal(await page.evaluate(wide), 0);
    }),
);

test(
  "a hundred thousand calls that follow are few rows and little memory",
  inChromium,
  () =>
    withPage("calls?follow=1", async (page) => {
      server.sample.calls = 100_000;
      await page.reload();
      await Promise.all([rows(page).first().waitFor(), live(page)]);
      for (let at = 0; at < 9; at++) {
        const count = await rows(page).count();
        await page.getByRole("button", { name: "Older ones" }).click();
        await rows(page).nth(count).waitFor({ state: "attached" });
      }
      assert.equal(await rows(page).count(), 2_000);
      await page.getByRole("button", { name: "Older ones" }).waitFor({ state: "detached" });
      await page.reload();
      await Promise.all([rows(page).first().waitFor(), live(page)]);
      for (let batch = 0; batch < 50; batch++) {
        const items = Array.from({ length: 2_000 }, (_, at) => {
          const number = batch * 2_000 + at;
          return {
            ...sampleCall(number),
            id: `n${number}`,
            name: `call_${number}`,
            at: NOW + number,
          };
        });
        tell("calls", { items, left: 0 });
        await page.waitForFunction(
          (name) => document.querySelector("main tbody tr")?.textContent?.includes(name),
          `call_${batch * 2_000 + 1_999}`,
        );
      }
      assert.ok(await rows(page).count() <= 2_000);
      const session = await page.context().newCDPSession(page);
      await session.send("HeapProfiler.collectGarbage");
      const { usedSize } = await session.send("Runtime.getHeapUsage");
      console.log(`${(usedSize / 1e6).toFixed(1)} MB of heap`);
      assert.ok(usedSize <= 40e6, `${usedSize} bytes`);
    }),
);

test(
  "an address leads somewhere, however it is written",
  inChromium,
  () =>
    withPage("overview", async (page) => {
      const odd = [
        "%E0%A4%A",
        "__proto__",
        "tools/%E0%A4%A",
        "usage?by=__proto__",
        "calls?before=x",
      ];
      for (const hash of [...odd, "log?level=constructor", "alerts?state=toString"]) {
        await page.goto(`${server.url}#/${hash}`);
        await page.locator("main section > *").first().waitFor();
        assert.equal(await page.getByText("cannot be drawn").count(), 0, hash);
      }
      for (const key of ["%E0%A4%A", "%E2%82%AC"]) {
        await page.goto(`${server.url}#key=${key}`);
        await page.getByText("Seven of eight servers answer.").waitFor();
        assert.doesNotMatch(page.url(), /key/);
      }
    }),
);

test(
  "what is long is shown in part, what is much as few elements",
  inChromium,
  () =>
    withPage("overview", async (page) => {
      const long = "n".repeat(100_000);
      const issues = Array.from({ length: 3_000 }, (_, at) => ({ line: at, message: "wrong" }));
      const answers: Record<string, unknown> = {
        log: { items: [{ id: 1, at: NOW, level: "info", message: long, fields: { long } }] },
        tools: { servers: [{ name: "s", tools: [{ exposed: `s_\ud800${long}`, own: long }] }] },
        config: { file: "f", hash: "h", text: "a: 1\n".repeat(20_000), error: { issues } },
      };
      for (const [hash, json] of Object.entries(answers)) {
        await page.route(`**/api/${hash}*`, (route) => route.fulfill({ json }));
        await page.goto(`${server.url}#/${hash}`);
        await page.locator("main section .panel :is(td, [data-row], textarea)").first().waitFor();
        assert.ok(await page.locator("*").count() < 1_000, hash);
        const { length } = await page.locator("main section").innerText();
        assert.ok(length < (hash === "config" ? 200_000 : 10_000), `${hash}: ${length}`);
      }
    }),
);
