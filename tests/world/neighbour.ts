/** A server and its client that have nothing to do with what happens around them. */

import assert from "node:assert/strict";
import { HttpClient } from "../support/clients/http.ts";
import { isResponseTo, resultOf, textOf } from "../support/clients/message.ts";
import { type Streamed, streamed } from "../support/clients/streamed.ts";
import type { FakeProgram } from "../support/fake-child.ts";
import { Inbox } from "../support/inbox.ts";

const TOOLS = ["echo", "hold"].map((name) => ({
  name,
  title: `The good ${name}`,
  inputSchema: { type: "object", properties: { key: { type: "string" } } },
}));

/** What no other client calls with. */
const OWN_KEY = /^(?:echo|hold) \d+$/;

/** Calls of `hold` as they stand at the server. */
export interface Held {
  readonly calls: Inbox<{ readonly key: string; readonly finish: () => void }>;
  /** How many calls it has had of its own client. */
  count: number;
}

/** A stdio server in memory: `echo` gives back its key at once, `hold` when it is told to. */
export function neighbourProgram(held: Held): FakeProgram {
  return (process) => {
    const say = (message: object) =>
      process.stdout(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    const text = (text: string) => ({ content: [{ type: "text", text }] });
    process.onInput((lines) => {
      for (const line of lines.split("\n").filter((line) => line !== "")) {
        const { id, method, params } = JSON.parse(line);
        const reply = (result: object) => say({ id, result });
        if (method === "initialize") {
          const serverInfo = { name: "good", version: "1" };
          const capabilities = { tools: { listChanged: true } };
          reply({ protocolVersion: "2025-11-25", capabilities, serverInfo });
        } else if (method === "tools/list") reply({ tools: TOOLS });
        else if (method === "tools/call") {
          const { key = "nothing" } = params.arguments ?? {};
          if (OWN_KEY.test(key)) held.count++;
          if (params.name === "echo") {
            reply(text(key));
            continue;
          }
          const { progressToken } = params._meta;
          const finish = () => {
            const method = "notifications/progress";
            say({ method, params: { progressToken, progress: 1, message: key } });
            reply(text(key));
          };
          held.calls.push({ key, finish });
        } else if (id !== undefined) say({ id, error: { code: -32601, message: "Unknown" } });
      }
    });
  };
}

/** The neighbour's client, with a session at its server's own URL and an open stream. */
export class Neighbour {
  #calls = 0;

  private constructor(
    readonly client: HttpClient,
    readonly stream: Streamed,
    readonly held: Held,
    readonly list: string,
  ) {}

  /** What the server and its client have in common. */
  static held(): Held {
    return { calls: new Inbox("calls that the good neighbour holds"), count: 0 };
  }

  static async connect(url: string, held: Held): Promise<Neighbour> {
    const client = await HttpClient.connect(new URL("/servers/good/mcp", url).href);
    const accept = { accept: "text/event-stream", "content-type": null };
    const stream = await streamed(client.url, { headers: client.headers(accept) });
    assert.equal(stream.status, 200);
    const list = resultOf(await client.request("tools/list")).text;
    return new Neighbour(client, stream, held, list);
  }

  /** Runs what is odd while a call of the neighbour is under way; looks before, during and after. */
  async beside(run: () => Promise<void>): Promise<void> {
    await this.#looks();
    const key = `hold ${++this.#calls}`;
    const params = { name: "hold", arguments: { key }, _meta: { progressToken: key } };
    const answering = this.client.start("tools/call", params, key);
    const call = await this.held.calls.waitFor((one) => one.key === key);
    try {
      await run();
      await this.#looks();
    } finally {
      call.finish();
    }
    const { messages } = await answering;
    assert.equal(textOf(await messages.waitFor(isResponseTo(key))), key);
    const before = messages.items.slice(0, -1).map(({ json }) => json.params);
    assert.deepEqual(before, [{ progressToken: key, progress: 1, message: key }]);
    await this.#looks();
  }

  /** It has heard nothing that was not for it, and no call of it was made twice. */
  assertUndisturbed(): void {
    assert.deepEqual(this.stream.messages.items.map(({ text }) => text), []);
    assert.equal(this.held.count, this.#calls);
  }

  async #looks(): Promise<void> {
    assert.equal(resultOf(await this.client.request("tools/list")).text, this.list);
    const key = `echo ${++this.#calls}`;
    const answer = await this.client.request("tools/call", { name: "echo", arguments: { key } });
    assert.equal(textOf(answer), key);
  }

  close(): void {
    this.stream.close();
  }
}
