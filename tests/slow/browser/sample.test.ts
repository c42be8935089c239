/// <reference lib="dom" />
/** What no real gateway shows within seconds: the dashboard in Chromium with one that is lost, hostile or huge. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { assertQuiet, inChromium, launch, open, SampleServer } from "./harness.ts";
import { NASTY } from "../../front/dashboard/nasty-schemas.ts";
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
      const each = 5_000;
      for (let first = 0; first < 100_000; first += each) {
        const items = Array.from({ length: each }, (_, at) => {
          const number = first + each - 1 - at;
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
          `call_${first + each - 1}`,
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
        await page.goto(`${server.url}#/tools/${index}`);
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
      await page.goto(`${server.url}#/tools`);
      await page.getByText("99\u202f500 more").waitFor();
      await page.getByLabel("Find a tool").fill("t77777");
      await page.getByText("t77777", { exact: true }).waitFor();
      assert.equal(await page.locator("[data-row]").count(), 1);
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
