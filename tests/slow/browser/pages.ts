/** Each page in both schemes and three widths: seen by axe, as wide as its window, silent. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertQuiet, inChromium, overflow, violations } from "./harness.ts";
import { openPage } from "./real.ts";

const TOOL = `tools/everything_gzip-file-as-resource?args=${encodeURIComponent('{"name":1}')}`;
const PAGES = [
  ["overview", "servers/everything", "calls", "usage", "log"],
  ["servers", TOOL, "call", "alerts", "config"],
];

/** The rules that hang on the scheme; what the others say of one, they say of both. */
const OF_COLOURS = ["color-contrast", "link-in-text-block"];

/** One after the other in a page of their own. */
async function look(pages: readonly string[]): Promise<void> {
  const watched = await openPage(pages[0]!);
  const { page } = watched;
  for (const at of pages) {
    await page.evaluate((hash) => location.hash = hash, at === "call" ? "/calls" : `/${at}`);
    await page.locator("main section .panel").first().waitFor();
    if (at === "call") {
      await page.locator("[data-row]").first().click();
      await page.getByRole("complementary", { name: "Call" }).waitFor();
    }
    for (const width of [390, 1024, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        await watched.settled();
        const where = `${at} at ${width} px, ${colorScheme}`;
        assert.equal(await overflow(page), 0, where);
        const only = colorScheme === "dark" ? OF_COLOURS : undefined;
        assert.deepEqual(await violations(page, only), [], where);
      }
    }
    assertQuiet(watched, at);
  }
  await watched.close();
}

test(
  "every page at three widths and in both schemes is whole, and silent",
  inChromium,
  async () => void await Promise.all(PAGES.map(look)),
);
