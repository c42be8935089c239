import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type KeptServer, ListCache } from "../../../src/gateway/members/list-cache.ts";
import { LIST_FORMAT_VERSION } from "../../../src/gateway/members/list-cache.ts";
import { sha256 } from "../../../src/lib/json.ts";
import { inventory } from "../../registry/builders.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";

/** Milliseconds. */
export const DAY = 24 * 3_600_000;

/** What the clock on the wall of every test says. */
export const NOW = Date.UTC(2026, 10, 20);

/** A server whose configuration has a secret. */
export const MEMORY: KeptServer = {
  name: "memory",
  key: '{"command":"npx","env":{"TOKEN":"s3cr3t"}}',
};

/** What it offers. */
export const OFFERS = inventory({ tools: ["search", "store"], resources: ["memory://all"] }, {
  capabilities: '{"tools":{},"x-n":12345678901234567890}',
  serverInfo: '{"name":"memory", "version":"1"}',
  era: "modern",
  instructions: "Search first.\n\u2028é\ud800",
});

/** Where a test keeps lists. */
export interface Place {
  /** The cache directory; it does not exist yet. */
  readonly directory: string;
  /** The folder of the files in it. */
  readonly lists: string;
  /** What was logged. */
  readonly lines: string[];
}

/** Runs a test in a place of its own, and clears up. */
export async function cached<T>(
  use: (place: Place) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "mcproxy-lists-"));
  try {
    const directory = join(folder, "cache");
    return await use({ directory, lists: join(directory, "lists"), lines: [] });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A cache that logs to the lines of its place. */
export function open(
  { directory, lines }: { readonly directory: string | undefined; readonly lines: string[] },
  clock = new FakeClock(),
  now = () => NOW,
): ListCache {
  const warning = (text: string, properties: Record<string, unknown>) =>
    void lines.push(text.replace(/\{(\w+)\}/g, (_, name) => String(properties[name])));
  return new ListCache(directory, { log: { warning: warning as never }, clock, now });
}

/** Keeps the offers of a server, and names the file they went to. */
export async function keep(
  place: Place,
  server = MEMORY,
  offers = OFFERS,
): Promise<string> {
  const before = new Set(await readdir(place.lists).catch(() => []));
  const cache = open(place);
  cache.set(server, offers);
  await cache.flush();
  const made = (await readdir(place.lists)).filter((name) => !before.has(name));
  assert.equal(made.length, 1);
  return join(place.lists, made[0]!);
}

/** A file whose digest is right, whatever it says. */
export async function signed(content: string, version = LIST_FORMAT_VERSION): Promise<string> {
  const digest = await sha256(new TextEncoder().encode(content));
  return `mcproxy-lists ${version} ${digest}\n${content}`;
}
