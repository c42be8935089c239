import { FakeChild, type FakeProgram } from "../support/fake-child.ts";

/** A request that a server has got, and answers when it is told to. */
export type Held = () => void;

/** What all servers of a {@link PrincipalsHouse} have in common. */
export interface Backstage {
  /** A text that nobody else has. */
  token(): string;
  /** A call waits for its answer. */
  hold(held: Held): void;
  /** A word about a call that is answered, to be said at any time. */
  later(word: () => void): void;
}

// deno-lint-ignore no-explicit-any
type Message = any;
type Result = Record<string, unknown>;

const READ_ONLY = { readOnlyHint: true };
const text = (...texts: string[]) => ({ content: texts.map((text) => ({ type: "text", text })) });

/** One tool of a server: gives the result, by way of words to its client where it wants. */
type Tool = (connection: Connection, request: Message) => Result | Promise<Result>;

/** What a server offers. */
export interface Offer {
  readonly era: "legacy" | "modern";
  readonly tools: Readonly<Record<string, Tool>>;
  /** Those that say nothing of what they do. */
  readonly risky?: readonly string[];
  readonly prompts?: readonly string[];
  readonly resources?: readonly string[];
  readonly templates?: readonly string[];
  /** Stands in all descriptions, results and instructions. */
  readonly canary?: string;
}

const MODERN = "2026-07-28";
const HINTS = { resultType: "complete", ttlMs: 60_000, cacheScope: "public" };

/** One process of a server, and what it has been told. */
class Connection {
  /** All that was said on it so far, by whomever. */
  readonly memory: string[] = [];
  readonly #asked = new Map<number, (answer: Message) => void>();
  #ids = 0;

  constructor(
    readonly offer: Offer,
    readonly backstage: Backstage,
    private readonly child: { stdout(text: string): void },
    private readonly tasks: Map<string, Result>,
  ) {}

  send(message: object): void {
    this.child.stdout(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }

  notify(method: string, params: object): void {
    this.send({ method, params });
  }

  /** Asks the client by a request. */
  ask(params: object): Promise<Message> {
    const id = ++this.#ids;
    const answer = new Promise<Message>((resolve) => this.#asked.set(id, resolve));
    this.send({ id, method: "elicitation/create", params });
    return answer;
  }

  task(): Result {
    const { backstage } = this;
    const taskId = backstage.token();
    const task = { taskId, status: "working", statusMessage: backstage.token(), ttl: null };
    this.tasks.set(taskId, task);
    return task;
  }

  receive(message: Message): void {
    const { id, method } = message;
    if (method === undefined) return this.#asked.get(id)?.(message.result ?? {});
    if (id === undefined) return;
    const answer = (result: Result) =>
      this.send({ id, result: this.offer.era === "modern" ? { ...HINTS, ...result } : result });
    if (method === "tools/call") {
      const tool = this.offer.tools[message.params.name];
      if (tool === undefined) return this.#refuse(id, "Unknown tool");
      return this.backstage.hold(() => {
        void Promise.resolve(tool(this, message)).then(answer);
      });
    }
    const result = this.#answer(method, message.params ?? {});
    if (result === undefined) this.#refuse(id, `Not here: ${method}`);
    else answer(result);
  }

  #refuse(id: number, message: string): void {
    this.send({ id, error: { code: message === "Unknown tool" ? -32602 : -32601, message } });
  }

  /** Whether it has what a request is about. */
  #has({ name, uri, ref }: Message): boolean {
    const { prompts = [], resources = [], templates = [] } = this.offer;
    const asked = name ?? ref?.name ?? uri ?? ref?.uri;
    return [...prompts, ...resources, ...templates].includes(asked) ||
      templates.some((one) => String(asked).startsWith(one.replace(/\{.*/, "")));
  }

  #answer(method: string, params: Message): Result | undefined {
    const { offer, backstage, tasks } = this;
    const { canary = "common", era } = offer;
    const told = () => `${canary} ${backstage.token()}`;
    const capabilities = {
      ...{ tools: {}, prompts: {}, resources: { subscribe: true }, completions: {}, logging: {} },
      ...(era === "legacy"
        ? { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } }
        : { extensions: { "io.modelcontextprotocol/tasks": {} } }),
    };
    const about = { serverInfo: { name: canary, version: "1" }, instructions: `says ${canary}` };
    switch (method) {
      case "initialize":
        return { protocolVersion: "2025-11-25", capabilities, ...about };
      case "server/discover":
        return { supportedVersions: [MODERN], capabilities, ...about };
      case "tools/list":
        return {
          tools: Object.keys(offer.tools).map((name) => ({
            name,
            description: `${name} of ${canary}`,
            inputSchema: { type: "object" },
            ...(offer.risky?.includes(name) ? {} : { annotations: READ_ONLY }),
          })),
        };
      case "prompts/list":
        return { prompts: (offer.prompts ?? []).map((name) => ({ name, description: canary })) };
      case "resources/list":
        return { resources: (offer.resources ?? []).map((uri) => ({ uri, name: uri })) };
      case "resources/templates/list":
        return {
          resourceTemplates: (offer.templates ?? []).map((uriTemplate) => ({
            uriTemplate,
            name: uriTemplate,
          })),
        };
      case "prompts/get":
        return this.#has(params)
          ? { messages: [{ role: "user", content: { type: "text", text: told() } }] }
          : undefined;
      case "resources/read":
        return this.#has(params) ? { contents: [{ uri: params.uri, text: told() }] } : undefined;
      case "completion/complete":
        return this.#has(params) ? { completion: { values: [told()] } } : undefined;
      case "tasks/list":
        return { tasks: [...tasks.values()] };
      case "tasks/get":
      case "tasks/cancel":
      case "tasks/update":
        return tasks.get(params.taskId) ?? undefined;
      case "tasks/result":
        return tasks.has(params.taskId) ? text(backstage.token()) : undefined;
      case "ping":
      case "logging/setLevel":
      case "resources/subscribe":
      case "resources/unsubscribe":
      case "subscriptions/listen":
        return {};
      default:
        return undefined;
    }
  }
}

const plain: Tool = ({ backstage }) => text(backstage.token());

/** Says more than the result: progress, a log line, a changed resource. */
const chatter: Tool = (connection, { params: { _meta } }) => {
  const { backstage } = connection;
  const { progressToken } = _meta ?? {};
  if (progressToken !== undefined) {
    const message = backstage.token();
    connection.notify("notifications/progress", { progressToken, progress: 1, message });
  }
  connection.notify("notifications/message", { level: "info", data: backstage.token() });
  connection.notify("notifications/resources/updated", { uri: "res://s/1" });
  return text(backstage.token());
};

/** Tells all it has heard before, and of this call again later. */
const remember: Tool = (connection) => {
  const { backstage, memory } = connection;
  memory.push(backstage.token());
  backstage.later(() => {
    const data = memory.join(" ");
    connection.notify("notifications/message", { level: "info", data });
  });
  return text(memory.join(" "));
};

/** Asks as a modern server does, with a state that could be guessed: it says what the call is for. */
const mask: Tool = ({ backstage }, { params: { requestState } }) => {
  if (requestState !== undefined) return text(backstage.token(), `${requestState} is done`);
  const params = { mode: "form", message: backstage.token(), requestedSchema: { type: "object" } };
  const inputRequests = { word: { method: "elicitation/create", params } };
  return { resultType: "input_required", inputRequests, requestState: backstage.token() };
};

const ask: Tool = async (connection) => {
  const message = connection.backstage.token();
  const requestedSchema = { type: "object", properties: { word: { type: "string" } } };
  const { content } = await connection.ask({ mode: "form", message, requestedSchema });
  return text(message, String(content?.word));
};

/** By name: what is offered where. */
export const OFFERS: Readonly<Record<string, Offer>> = {
  s: {
    era: "legacy",
    tools: {
      plain,
      chatter,
      cached: plain,
      big: ({ backstage }) => text(`${backstage.token()} ${"x".repeat(600)}`),
      job: (connection) => ({ task: connection.task() }),
      destroy: plain,
    },
    risky: ["destroy"],
    prompts: ["greet"],
    resources: ["res://s/1", "res://s/private"],
    templates: ["res://s/{id}"],
  },
  d: { era: "legacy", tools: { remember, ask } },
  m: {
    era: "modern",
    tools: {
      mplain: plain,
      mask,
      mjob: (connection) => ({ ...connection.task(), resultType: "task" }),
    },
    resources: ["mod://1"],
  },
  ...Object.fromEntries(["alpha", "beta"].map((word): [string, Offer] => [`only${word}`, {
    era: "legacy",
    tools: { [`${word}_tool`]: ({ backstage }) => text(`${word}CANARY`, backstage.token()) },
    prompts: [`${word}_prompt`],
    resources: [`${word}://1`],
    templates: [`${word}://t/{id}`],
    canary: `${word}CANARY`,
  }])),
};

/** A program that is the server of this name, in as many processes as are started. */
export function serverProgram(name: string, backstage: Backstage): FakeProgram {
  const tasks = new Map<string, Result>();
  return (child) => {
    const connection = new Connection(OFFERS[name]!, backstage, child, tasks);
    let rest = "";
    child.onInput((input) => {
      const lines = (rest + input).split("\n");
      rest = lines.pop()!;
      for (const line of lines) if (line !== "") connection.receive(JSON.parse(line));
    });
  };
}

/** Starts them, by their names as commands. */
export function spawnServers(programs: Readonly<Record<string, FakeProgram>>) {
  let pid = 0;
  return (options: ConstructorParameters<typeof FakeChild>[1]): Promise<FakeChild> => {
    const child = new FakeChild(++pid, options);
    programs[options.command]!(child);
    return Promise.resolve(child);
  };
}
