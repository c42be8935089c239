import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from "node:net";
import { setImmediate } from "node:timers";
import { bodyOf } from "../body.ts";
import type { FakeProgram } from "../fake-child.ts";
import { Inbox } from "../inbox.ts";
import { InteractiveCore } from "./interactive-core.mjs";
import { Sink } from "./sink.ts";

/**
 * A process that only hands on: what it reads to the test, which listens at port `$0`, and from there
 * what it says. It begins with its process id and the number of the fake it is, and ends with its
 * input. To start it takes a third of what an engine takes.
 */
const PROCESS = 'exec 3<>"/dev/tcp/127.0.0.1/$0"; echo "$$ $1" >&3; cat <&3 & cat >&3; kill $!';

/** What an interactive fake is told to be. */
export interface InteractiveSpec {
  readonly name: string;
  readonly era?: "legacy" | "modern";
  /** Names of its tools; default all of `interactive-tools.mjs`. */
  readonly tools?: readonly string[];
  /** Asks for roots as soon as it is initialised. */
  readonly rootsAtStart?: boolean;
}

/** What a fake reports. */
export interface FakeEvent {
  readonly kind: "opened" | "closed" | "received" | "waiting" | "cancelled" | "told";
  /** Which of the gateway's connections; one process, or one session. */
  readonly connection?: string;
  // deno-lint-ignore no-explicit-any
  readonly message?: any;
  readonly key?: string;
  /** Whose call. */
  readonly tag?: string;
  // deno-lint-ignore no-explicit-any
  readonly answer?: any;
}

/** Something every fake of a control does, outside any call. */
export interface FakeCommand {
  /** Opens a gate for good. */
  readonly open?: string;
  /** Changes a resource. */
  readonly touch?: string;
  readonly log?: { readonly level: string; readonly data: unknown };
  readonly ask?: { readonly method: string; readonly params?: unknown };
}

/**
 * Hears and steers interactive fakes beside the gateway, whichever process they are in: a tool
 * call made for that purpose would itself be one more call in flight.
 */
export class Control {
  readonly events = new Inbox<FakeEvent>("the interactive fakes");
  readonly #commands: FakeCommand[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #cores = new Set<InteractiveCore>();
  /** Of the fakes on stdio, by their number. */
  readonly #specs: InteractiveSpec[] = [];
  readonly #closers: (() => Promise<void>)[] = [];

  private constructor(private readonly server: Server, private readonly port: number) {}

  static async start(): Promise<Control> {
    const server = createTcpServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const control = new Control(server, (server.address() as AddressInfo).port);
    server.on("connection", (socket) => control.#joined(socket));
    return control;
  }

  /** The config entry of a fake on stdio; each start is a process of its own. */
  stdio(spec: InteractiveSpec, extra: object = {}): Record<string, unknown> {
    const number = this.#specs.push(spec) - 1;
    // Its stdin is a socket on Bun, from which it would conclude that somebody logs in.
    const args = ["--norc", "-c", PROCESS, `${this.port}`, `${number}`];
    return { command: "bash", args, ...extra };
  }

  /** A fake on stdio as the program of a runtime whose processes are no real ones. */
  program(spec: InteractiveSpec): FakeProgram {
    return (process) => {
      const print = (text: string) => process.stdout(text);
      const { take, end } = this.#connect(spec, process.pid, print);
      const read = byLine(take);
      // In another turn, as everything that comes out of a pipe.
      process.onInput((text) => void setImmediate(() => read(text)));
      const leave = () =>
        void setImmediate(() => {
          end();
          process.exit();
        });
      process.onInputEnd(leave);
      process.onTerminate(leave);
    };
  }

  /** Starts a fake on Streamable HTTP and returns its config entry. */
  async http(spec: InteractiveSpec, extra: object = {}): Promise<Record<string, unknown>> {
    const { url, close } = await startInteractiveHttp(this.#core(spec));
    this.#closers.push(close);
    return { url, ...extra };
  }

  /** Tells every fake, and those that come later, in this order. */
  tell(command: FakeCommand): void {
    if (command.open !== undefined) this.#commands.push(command);
    for (const core of this.#cores) core.command(command);
  }

  /** Everything of one kind so far. */
  all(kind: FakeEvent["kind"]): readonly FakeEvent[] {
    return this.events.items.filter((event) => event.kind === kind);
  }

  /** Every message of a method that fakes received so far. */
  // deno-lint-ignore no-explicit-any
  received(method: string): readonly { readonly connection: string; readonly params: any }[] {
    return this.all("received").filter(({ message }) => message.method === method)
      .map(({ connection, message }) => ({ connection: connection!, params: message.params }));
  }

  /** Waits until a call of this tag stands at its gate. */
  async waiting(tag: string): Promise<void> {
    await this.events.waitFor((event) => event.kind === "waiting" && event.tag === tag);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#closers.map((close) => close()));
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  #core(spec: InteractiveSpec): InteractiveCore {
    const report = (event: Record<string, unknown>) =>
      this.events.push(event as unknown as FakeEvent);
    const core = new InteractiveCore(spec, report);
    this.#cores.add(core);
    for (const command of this.#commands) core.command(command);
    return core;
  }

  /** One more fake on stdio, whose words go to `print`. */
  #connect(
    spec: InteractiveSpec,
    pid: number | string,
    print: (text: string) => void,
  ): Stdio {
    const core = this.#core(spec);
    const send = (...raws: string[]) => print(raws.map((raw) => `${raw}\n`).join(""));
    const connection = core.connect(send, `${spec.name}@${pid}`);
    const end = () => {
      if (this.#cores.delete(core)) connection.close();
    };
    return { take: (line) => connection.handle(line, { send, end: () => {} }), end };
  }

  #joined(socket: Socket): void {
    this.#sockets.add(socket);
    // A fake that is killed leaves without a word.
    socket.on("error", () => {});
    let fake: Stdio | undefined;
    const take = byLine((line) => {
      if (fake !== undefined) return fake.take(line);
      const [pid, number] = line.split(" ") as [string, string];
      fake = this.#connect(this.#specs[Number(number)]!, pid, (text) => socket.write(text));
    });
    socket.setEncoding("utf8");
    socket.on("data", take);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      fake?.end();
    });
  }
}

/** Takes text as it comes, and hands on each line that is whole. */
function byLine(take: (line: string) => void): (text: string) => void {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== "") take(line);
  };
}

/** A fake on stdio, from the side of its pipes. */
interface Stdio {
  /** Reads a line. */
  take(line: string): void;
  end(): void;
}

type Connection = ReturnType<InteractiveCore["connect"]>;

/** A legacy session: its connection and its GET streams. */
interface FakeSession {
  readonly connection: Connection;
  readonly standing: Set<Sink>;
  /** What was said before there was one. */
  readonly held: string[];
}

async function startInteractiveHttp(
  core: InteractiveCore,
): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const sessions = new Map<string, FakeSession>();
  let modern: Connection | undefined;
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await bodyOf(request);
    if (body === undefined) return;
    if (core.spec.era === "modern") {
      if (request.method !== "POST") return void response.writeHead(405).end();
      modern ??= core.connect(() => {});
      return answerModern(modern, body, response);
    }
    legacy(core, sessions, request, body, response);
  };
  const server = createHttpServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answerModern(connection: Connection, body: string, response: ServerResponse): void {
  const { id } = JSON.parse(body);
  const sink = new Sink(response, "json", (code) => code === -32601 ? 404 : 400);
  response.once("close", () => {
    if (!sink.ended && id !== undefined) connection.abandoned(id);
  });
  connection.handle(body, {
    send: (...raws: string[]) => sink.send(...raws),
    end: () => sink.end(),
  });
}

function legacy(
  core: InteractiveCore,
  sessions: Map<string, FakeSession>,
  { method, headers }: IncomingMessage,
  body: string,
  response: ServerResponse,
): void {
  const initialize = method === "POST" && JSON.parse(body).method === "initialize";
  let id = headers["mcp-session-id"] as string | undefined;
  if (initialize) {
    const standing = new Set<Sink>();
    const held: string[] = [];
    const connection = core.connect((raw: string) => {
      if (standing.size === 0) held.push(raw);
      for (const sink of standing) sink.send(raw);
    });
    id = connection.label;
    sessions.set(id!, { connection, standing, held });
    response.setHeader("mcp-session-id", id!);
  }
  const session = sessions.get(id ?? "");
  if (session === undefined) return void response.writeHead(id === undefined ? 400 : 404).end();
  if (method === "DELETE") {
    sessions.delete(id!);
    session.connection.close();
    for (const sink of session.standing) sink.end();
    return void response.writeHead(204).end();
  }
  if (method === "GET") {
    const sink = new Sink(response, "sse");
    session.standing.add(sink);
    response.once("close", () => session.standing.delete(sink));
    sink.open();
    for (const raw of session.held.splice(0)) sink.send(raw);
    return;
  }
  const sink = new Sink(response, "json");
  session.connection.handle(body, {
    send: (...raws: string[]) => sink.send(...raws),
    end: () => sink.end(),
  });
}
