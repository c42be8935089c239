/** An endpoint of embeddings with a mind of its own, and tools behind a gate to search. */

import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EmbeddingsConfig, GatingConfig } from "../../../src/config/types.ts";
import { Finder, type FinderOptions, type FoundTools } from "../../../src/gating/finder.ts";
import type { Logger } from "../../../src/log/mod.ts";
import { buildSnapshot, type Snapshot } from "../../../src/gating/gate.ts";
import type { ServerEntry } from "../../../src/registry/types.ts";
import type { SearchOptions } from "../../../src/gating/words/index.ts";
import { entry, inventory, item } from "../../registry/builders.ts";

/** What one request asked for. */
export interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly model: unknown;
  readonly input: readonly string[];
}

/** Answers a request by itself: anything but vectors. */
export type Misbehaviour = (response: ServerResponse, asked: Asked) => void;

/** Words of one line mean the same to the model. */
const MEANINGS = [
  ["letter", "mail", "correspondence", "brief"],
  ["picture", "photo", "image", "bild"],
  ["money", "bank", "invoice", "geld"],
  ["weather", "rain", "forecast", "wetter"],
];

/** The vector of a text: what it is about, and a little of everything. */
export function meaningOf(text: string): number[] {
  const words = text.toLowerCase().split(/[^a-z]+/);
  return MEANINGS.map((group) => 0.01 + words.filter((word) => group.includes(word)).length);
}

/** A real HTTP server that returns {@link meaningOf}, or does what it is told to. */
export class Endpoint {
  readonly asked: Asked[] = [];
  misbehave: Misbehaviour | undefined;
  readonly #server = createServer((request, response) => this.#answer(request, response));
  readonly #waiting: (() => void)[] = [];

  static async start(): Promise<Endpoint> {
    const endpoint = new Endpoint();
    await new Promise<void>((resolve) => endpoint.#server.listen(0, "127.0.0.1", resolve));
    return endpoint;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  /** All texts it was ever given. */
  get texts(): readonly string[] {
    return this.asked.flatMap(({ input }) => input);
  }

  /** Resolves when it has been asked so often in all. */
  async whenAsked(times: number): Promise<void> {
    while (this.asked.length < times) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const part of request) body += part;
    const { model, input } = JSON.parse(body);
    const asked = { path: request.url ?? "", headers: request.headers, model, input };
    this.asked.push(asked);
    if (this.misbehave === undefined) answerWith(response, vectorsOf(input));
    else this.misbehave(response, asked);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** An answer in the form of OpenAI's. */
export function vectorsOf(input: readonly string[]): object {
  const data = input.map((text, index) => ({ index, embedding: meaningOf(text) }));
  // In no order: the index counts.
  return { object: "list", data: data.toReversed() };
}

/** Answers with this as JSON, or with this text. */
export function answerWith(response: ServerResponse, body: object | string, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

/** Runs a test with an endpoint and a directory, and clears up after both. */
export async function withEndpoint(
  use: (endpoint: Endpoint, directory: string) => Promise<void>,
): Promise<void> {
  const endpoint = await Endpoint.start();
  try {
    await withDirectory((directory) => use(endpoint, directory));
  } finally {
    await endpoint.stop();
  }
}

/** Runs a test in a directory of its own. */
export async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "mcproxy-search-"));
  try {
    await use(join(folder, "cache"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A log that keeps its lines, and lets a test wait for one. */
export class Lines {
  readonly all: string[] = [];
  readonly #waiting: (() => void)[] = [];

  readonly log = {
    info: (text: string, properties: Record<string, unknown>) => this.#add(text, properties),
    warning: (text: string, properties: Record<string, unknown>) => this.#add(text, properties),
    error: (text: string, properties: Record<string, unknown>) => this.#add(text, properties),
  } as unknown as Pick<Logger, "info" | "warning" | "error">;

  /** Resolves when there is a line with this text. */
  async when(part: string): Promise<void> {
    while (!this.all.some((line) => line.includes(part))) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #add(text: string, properties: Record<string, unknown>): void {
    this.all.push(text.replace(/\{(\w+)\}/g, (_, name) => String(properties[name])));
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** A key that nothing but a header may have. */
export const SECRET = "sk-0123456789";

/** An endpoint. Long enough for a busy machine; tests of slowness turn the time themselves. */
export const configOf = (url: string, more: Partial<EmbeddingsConfig> = {}): EmbeddingsConfig => ({
  url,
  model: "m",
  apiKey: SECRET,
  timeout: 20_000,
  ...more,
});

/** How all gates of these tests are. */
export const GATING: GatingConfig = {
  mode: "on",
  maxTools: 50,
  maxTokens: 10_000,
  alwaysVisible: [],
  exposeProvisioned: false,
  requireProvisioning: false,
  splitByRisk: false,
  usageRanking: false,
};

/** A tool that says something of itself. */
export function tool(name: string, description: string): ReturnType<typeof item> {
  return item("tools", name, `"description": ${JSON.stringify(description)}`);
}

/** A few tools of two servers. */
export const SERVERS: readonly ServerEntry[] = [
  entry(
    "bureau",
    inventory({
      tools: { items: [tool("send", "Sends a letter."), tool("stamp", "Buys stamps.")] },
    }),
    { shape: { tags: ["paper"] } },
  ),
  entry(
    "studio",
    inventory({
      tools: { items: [tool("shoot", "Takes a photo."), tool("send", "Sends a photo.")] },
    }),
  ),
];

/** A snapshot with these servers behind one gate. */
export function snapshot(
  servers: readonly ServerEntry[] = SERVERS,
  gating: Partial<GatingConfig> = {},
  previous?: Snapshot,
): Snapshot {
  const version = (previous?.version ?? 0) + 1;
  return buildSnapshot({ version, servers, gating: { ...GATING, ...gating } }, previous);
}

/** A finder, its log, and the settings it looks at, which a test may exchange. */
export class Search {
  embeddings: EmbeddingsConfig | undefined;
  readonly tags: readonly never[] = [];
  readonly lines = new Lines();
  readonly finder: Finder;

  constructor(options: Omit<FinderOptions, "settings"> & { embeddings?: EmbeddingsConfig } = {}) {
    this.embeddings = options.embeddings;
    this.finder = new Finder({
      log: this.lines.log,
      ...options,
      settings: () => ({
        tags: this.tags,
        ...(this.embeddings === undefined ? {} : { embeddings: this.embeddings }),
      }),
    });
  }

  /** Searches the aggregate. */
  find(
    registry: Snapshot,
    query: string,
    options: SearchOptions = {},
  ): FoundTools | Promise<FoundTools> {
    return this.finder.find(registry.gates.aggregate, registry, query, options);
  }

  /** The ids of what is found. */
  async ids(registry: Snapshot, query: string, options: SearchOptions = {}): Promise<string[]> {
    return idsOf(await this.find(registry, query, options));
  }

  /** Prepares the snapshot and waits until its tools have their vectors. */
  async embedded(registry: Snapshot): Promise<void> {
    const before = this.lines.all.length;
    this.finder.prepare(registry);
    await this.lines.when("Embedded");
    if (this.lines.all.length === before) throw new Error("was embedded before");
  }
}

/** Their ids. */
export function idsOf({ tools }: FoundTools): string[] {
  return tools.map(({ document }) => document.id);
}
