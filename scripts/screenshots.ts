/** Pictures of every page for the documentation, of made-up data that is the same each time. */

import { ARGUMENTS, RESULT } from "../tests/slow/browser/sample-pages.ts";
import { launch, open, SampleServer } from "../tests/slow/browser/harness.ts";
import { ROOT } from "./paths.ts";

const TOOL = `tools/filesystem_search_files?args=${encodeURIComponent(JSON.stringify(ARGUMENTS))}`;
const PAGES = {
  overview: "overview",
  servers: "servers",
  tools: TOOL,
  calls: "calls/c6",
  usage: "usage",
  alerts: "alerts",
  log: "log",
  configuration: "config",
};

const server = await SampleServer.start();
server.sample.before = (_, path) => path === "/mcp" ? Response.json(RESULT) : undefined;
const browser = await launch();
await Deno.mkdir(`${ROOT}docs/images`, { recursive: true });
for (const [name, hash] of Object.entries(PAGES)) {
  const scheme = name === "calls" ? "dark" : "light";
  const watched = await open(browser, `${server.url}#/${hash}`, { width: 1440, scheme });
  const { page } = watched;
  await page.locator("main section .panel").first().waitFor();
  if (name === "tools") {
    for (const label of [/^Call/, /^Call anyway/]) {
      await page.getByRole("button", { name: label }).click();
    }
    await page.getByRole("tab", { name: "Structured" }).click();
  }
  await watched.settled();
  await page.screenshot({ path: `${ROOT}docs/images/${name}.png` });
  await watched.close();
}
await browser.close();
await server.stop();
Deno.exit();
