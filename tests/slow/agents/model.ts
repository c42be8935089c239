/**
 * A stand-in for the model behind an agent. It speaks as much of the four APIs as the agents need
 * to take it for their own, remembers what it was shown, and calls the tools it was told to.
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { bodyOf } from "../../support/body.ts";
import { Inbox } from "../../support/inbox.ts";

/** A call the model makes when its turn comes. */
export interface Call {
  /** What the name of the tool ends with; agents put something of their own before it. */
  readonly tool: string;
  readonly args: { readonly value: string };
  /** What happens before it. */
  readonly before?: () => Promise<void>;
}

/** One question of the agent that offered tools. */
interface Asked {
  /** The names of all tools that were offered. */
  readonly tools: readonly string[];
  /** The results of calls so far, each as JSON text. */
  readonly results: readonly string[];
}

/** One agent's talk with the model. */
export interface Conversation {
  /** The address of the API, without a path of any dialect. */
  readonly url: string;
  readonly asked: Inbox<Asked>;
}

/** A running stand-in. */
export interface Model {
  converse(calls: readonly Call[]): Conversation;
  close(): Promise<void>;
}

/** What an API sent or gets; nothing here depends on what it is exactly. */
// deno-lint-ignore no-explicit-any
type Json = Record<string, any>;

/** What the model says: words, or a call. */
type Said = { readonly text: string } | {
  readonly id: string;
  readonly name: string;
  readonly args: { readonly value: string };
};

/** How one API says things. */
interface Dialect {
  readonly path: RegExp;
  tools(body: Json): string[];
  results(body: Json): unknown[];
  /** The events of a streamed answer; a name is sent where the API has one. */
  events(said: Said): readonly Json[];
  /** The last line of a stream, where the API has one. */
  readonly last?: string;
}

const list = (value: unknown): Json[] => Array.isArray(value) ? value : [];

const ANTHROPIC: Dialect = {
  path: /\/v1\/messages$/,
  tools: ({ tools }) => list(tools).map(({ name }) => name),
  results: ({ messages }) =>
    list(messages).flatMap(({ content }) => list(content))
      .filter(({ type }) => type === "tool_result"),
  events: (said) => {
    const words = "text" in said;
    const message = {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "claude",
      content: [],
    };
    const usage = { input_tokens: 1, output_tokens: 1 };
    const nothing = { stop_reason: null, stop_sequence: null };
    const block = words
      ? { type: "text", text: "" }
      : { type: "tool_use", id: said.id, name: said.name, input: {} };
    const delta = words
      ? { type: "text_delta", text: said.text }
      : { type: "input_json_delta", partial_json: JSON.stringify(said.args) };
    const stop = { stop_reason: words ? "end_turn" : "tool_use", stop_sequence: null };
    return [
      { type: "message_start", message: { ...message, ...nothing, usage } },
      { type: "content_block_start", index: 0, content_block: block },
      { type: "content_block_delta", index: 0, delta },
      { type: "content_block_stop", index: 0 },
      { type: "message_delta", delta: stop, usage },
      { type: "message_stop" },
    ];
  },
};

const RESPONSES: Dialect = {
  path: /\/responses$/,
  // Tools of MCP servers stand in groups; a function of a group is called by both names.
  tools: ({ tools }) =>
    list(tools).flatMap((tool) =>
      tool["type"] === "namespace"
        ? list(tool["tools"]).map(({ name }) => `${tool["name"]} ${name}`)
        : [tool["name"] ?? tool["type"]]
    ),
  results: ({ input }) => list(input).filter(({ type }) => type === "function_call_output"),
  events: (said) => {
    const item = "text" in said
      ? {
        type: "message",
        role: "assistant",
        id: "msg_1",
        content: [{ type: "output_text", text: said.text }],
      }
      : functionCall(said);
    const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
    return [
      { type: "response.created", response: { id: "resp_1" } },
      { type: "response.output_item.done", output_index: 0, item },
      { type: "response.completed", response: { id: "resp_1", usage } },
    ];
  },
};

function functionCall({ id, name, args }: { id: string; name: string; args: object }): Json {
  const [first, second] = name.split(" ");
  const call = { type: "function_call", call_id: id, arguments: JSON.stringify(args) };
  return second === undefined ? { ...call, name } : { ...call, name: second, namespace: first };
}

const GEMINI: Dialect = {
  path: /:(streamG|g)enerateContent$/,
  tools: ({ tools }) =>
    list(tools).flatMap((one) => list(one["functionDeclarations"]).map(({ name }) => name)),
  results: ({ contents }) =>
    list(contents).flatMap(({ parts }) => list(parts)).filter((part) => part["functionResponse"]),
  events: (said) => {
    const part = "text" in said
      ? { text: said.text }
      : { functionCall: { name: said.name, args: said.args } };
    return [{
      candidates: [{ index: 0, content: { role: "model", parts: [part] }, finishReason: "STOP" }],
      usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
    }];
  },
};

const CHAT: Dialect = {
  path: /\/chat\/completions$/,
  tools: ({ tools }) => list(tools).map((one) => one["function"].name),
  results: ({ messages }) => list(messages).filter(({ role }) => role === "tool"),
  last: "[DONE]",
  events: (said) => {
    const chunk = { id: "c1", object: "chat.completion.chunk", created: 1, model: "m" };
    const delta = "text" in said ? { content: said.text } : {
      tool_calls: [{
        index: 0,
        id: said.id,
        type: "function",
        function: { name: said.name, arguments: JSON.stringify(said.args) },
      }],
    };
    const finish_reason = "text" in said ? "stop" : "tool_calls";
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    return [
      {
        ...chunk,
        choices: [{ index: 0, delta: { role: "assistant", ...delta }, finish_reason: null }],
      },
      { ...chunk, choices: [{ index: 0, delta: {}, finish_reason }], usage },
    ];
  },
};

const DIALECTS = [ANTHROPIC, RESPONSES, GEMINI, CHAT];

/** Starts a stand-in on a loopback port. */
export async function startModel(): Promise<Model> {
  const talks: Talk[] = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, "http://model");
    const talk = talks[Number(/^\/(\d+)\//.exec(pathname)?.[1])];
    const dialect = DIALECTS.find(({ path }) => path.test(pathname));
    if (talk === undefined || dialect === undefined || request.method !== "POST") {
      response.writeHead(404, { "content-type": "application/json" }).end('{"error":{}}');
      return;
    }
    talk.answer(dialect, request, response).catch((error) => {
      response.destroy();
      talk.asked.end(`the model failed: ${error}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    converse: (calls) => {
      const talk = new Talk(`${base}/${talks.length}`, calls);
      talks.push(talk);
      return talk;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

class Talk implements Conversation {
  readonly asked = new Inbox<Asked>("the agent");
  /** What is done before a call is done once, however often the agent asks. */
  readonly #done = new Map<Call, Promise<void>>();

  constructor(readonly url: string, private readonly calls: readonly Call[]) {}

  async answer(dialect: Dialect, request: IncomingMessage, response: ServerResponse) {
    const text = await bodyOf(request);
    if (text === undefined) return; // The agent went away.
    const body = JSON.parse(text) as Json;
    const said = await this.#say(dialect, body);
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const event of dialect.events(said)) {
      const name = event["type"] === undefined ? "" : `event: ${event["type"]}\n`;
      response.write(`${name}data: ${JSON.stringify(event)}\n\n`);
    }
    response.end(dialect.last === undefined ? "" : `data: ${dialect.last}\n\n`);
  }

  async #say(dialect: Dialect, body: Json): Promise<Said> {
    const words = { text: "That is all." };
    const tools = dialect.tools(body);
    // A question beside the matter, such as one for a title.
    if (tools.length === 0) return words;
    const results = dialect.results(body).map((result) => JSON.stringify(result));
    this.asked.push({ tools, results });
    const call = this.calls[results.length];
    const name = call && tools.find((tool) => tool.endsWith(call.tool));
    if (call === undefined || name === undefined) return words;
    let done = this.#done.get(call);
    if (done === undefined) this.#done.set(call, done = call.before?.() ?? Promise.resolve());
    await done;
    return { id: `call_${results.length}`, name, args: call.args };
  }
}
