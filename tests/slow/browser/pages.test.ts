/** Each page in both schemes and three widths: seen by axe, as wide as its window, silent. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import {
  assertQuiet,
  inChromium,
  launch,
  open,
  overflow,
  SampleServer,
  violations,
} from "./harness.ts";

const PAGES = [
  "overview",
  "servers",
  "servers/filesystem",
  "calls",
  "calls/c6?filter=client:letta",
  "log",
];

let browser: Browser;
let server: SampleServer;

before(async () => {
  if (inChromium.skip) return console.log(inChromium.skip);
  [browser, server] = await Promise.all([launch(), SampleServer.start()]);
  // What axe sees of one row it sees of all of them.
  server.sample.calls = 40;
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

for (const width of [390, 1024, 1440]) {
  for (const scheme of ["light", "dark"] as const) {
    test(`every page at ${width} px, ${scheme}`, inChromium, async () => {
      const watched = await open(browser, `${server.url}#/log`, { width, scheme });
      for (const at of PAGES) {
        await watched.page.goto(`${server.url}#/${at}`);
        await watched.page.locator("main section > *").first().waitFor();
        await watched.settled();
        assert.deepEqual(await violations(watched.page), [], at);
        assert.equal(await overflow(watched.page), 0, at);
        assertQuiet(watched, at);
      }
      await watched.close();
    });
  }
}
