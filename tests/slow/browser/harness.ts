/// <reference lib="dom" />
/** Chromium as the tests drive it, where there is one on the machine. */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createRequire } from "node:module";
import process from "node:process";
import type { Browser, Page } from "playwright-core";
import { ON_BUN } from "../../support/program.ts";
import { answer, newSample, NOW, type Sample } from "./sample.ts";

// Its ESM entry does not load on Deno.
const require = createRequire(import.meta.url);

const CHROMIUM = [process.env["CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser"]
  .find((path) => path !== undefined && existsSync(path));

/** Options of each test here: what makes it be left out, and the time it may take at most. */
export const inChromium = {
  skip: ON_BUN
    ? "the browser is the same"
    : CHROMIUM === undefined && "no Chromium on this machine",
  timeout: 240_000,
};

/** Starts it; once for a file. */
export function launch(): Promise<Browser> {
  const { chromium } = require("playwright-core") as typeof import("playwright-core");
  return chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });
}

let axe: string | undefined;

/** How a page is opened. */
export interface View {
  readonly width?: number;
  readonly scheme?: "light" | "dark";
  /** Whether its clock stands still, when the sample is. */
  readonly still?: boolean;
  /** What it is opened with, as if a link had brought it. */
  readonly key?: string;
}

/** A page, and what it has said that it should not have. */
export interface Watched {
  readonly page: Page;
  /** Console messages, errors and requests to elsewhere, since the last time. */
  said(): string[];
  /** Waits until all that was asked for has been answered and drawn. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a page of its own, with nothing kept from others. */
export async function open(
  browser: Browser,
  url: string,
  { width = 1440, scheme = "light", still = true, key = "" }: View = {},
): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: scheme,
    timezoneId: "UTC",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  let said: string[] = [];
  const { origin } = new URL(url);
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`${error.stack}`));
  const pending = new Set<unknown>();
  const isStream = (url: string) => new URL(url).pathname === "/api/events";
  page.on("requestfinished", (request) => pending.delete(request));
  page.on("requestfailed", (request) => pending.delete(request));
  page.on("request", (request) => {
    if (!isStream(request.url())) pending.add(request);
    const to = new URL(request.url());
    if (to.origin !== origin && !/^(blob|data):/.test(to.protocol)) said.push(`asks ${to}`);
  });
  if (key !== "") {
    await page.addInitScript((key) => sessionStorage.setItem("mcproxy.key", key), key);
  }
  if (still) await page.clock.setFixedTime(NOW);
  await page.goto(url);
  return {
    page,
    said: () => {
      const all = said;
      said = [];
      return all;
    },
    settled: async () => {
      do {
        await page.evaluate(() =>
          new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
        );
      } while (pending.size > 0);
    },
    close: () => context.close(),
  };
}

/** What axe has against a page, each in a line; `only` some of its rules. */
export async function violations(page: Page, only?: readonly string[]): Promise<string[]> {
  axe ??= readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  if (!await page.evaluate(() => "axe" in globalThis)) await page.evaluate(axe);
  return await page.evaluate(async (only) => {
    // deno-lint-ignore no-explicit-any
    const { violations } = await (globalThis as any).axe.run({
      resultTypes: ["violations"],
      ...only && { runOnly: { type: "rule", values: only } },
    });
    // deno-lint-ignore no-explicit-any
    return violations.map(({ id, nodes }: any) =>
      `${id}: ${
        nodes.slice(0, 3).map((node: { html: string }) => node.html.slice(0, 160)).join(" | ")
      }`
    );
  }, only);
}

/** How much wider the page is than its window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
}

/** What has the focus, by its text or label. */
export function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const at = document.activeElement!;
    if (at === document.body) return "";
    return at.getAttribute("aria-label") ?? at.textContent.trim().replace(/\s+/g, " ");
  });
}

/** What has the focus, to be asked later whether it has it again. */
export async function keepFocus(page: Page): Promise<() => Promise<unknown>> {
  const element = await page.evaluateHandle(() => document.activeElement);
  // It is given back after what had it is gone, not at once.
  return () => page.waitForFunction((before) => document.activeElement === before, element);
}

/** A server of the sample, that can be stopped and come back at its address. */
export class SampleServer {
  readonly sample: Sample = newSample();
  #server = this.#create();
  #port = 0;

  static async start(): Promise<SampleServer> {
    const server = new SampleServer();
    await server.listen();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  async listen(): Promise<void> {
    this.#server = this.#create();
    await new Promise<void>((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #create() {
    return createServer(async (request, response) => {
      const headers = new Headers(request.headers as Record<string, string>);
      const method = request.method!;
      const url = `http://${request.headers.host}${request.url}`;
      const told = answer(this.sample, new Request(url, { method, headers }));
      response.writeHead(told.status, Object.fromEntries(told.headers));
      const reader = told.body?.getReader();
      response.on("close", () => void reader?.cancel().catch(() => {}));
      while (reader !== undefined) {
        const { value, done } = await reader.read();
        if (done) break;
        response.write(value);
      }
      response.end();
    });
  }
}

/** Fails with what a page has said. */
export function assertQuiet(watched: Watched, where: string): void {
  assert.deepEqual(watched.said(), [], where);
}
