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
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { bodyOf } from "../body.ts";
import { Inbox } from "../inbox.ts";
import { BUN } from "../program.ts";
import { InteractiveCore } from "./interactive-core.mjs";
import { Sink } from "./sink.ts";

const SCRIPT = fileURLToPath(new URL("./interactive-server.mjs", import.meta.url));

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
    const args = [SCRIPT, JSON.stringify({ ...spec, control: this.port })];
    return { command: BUN, args, ...extra };
  }

  /** Starts a fake on Streamable HTTP and returns its config entry. */
  async http(spec: InteractiveSpec, extra: object = {}): Promise<Record<string, unknown>> {
    const core = new InteractiveCore(
      spec,
      (event: Record<string, unknown>) => this.events.push(event as unknown as FakeEvent),
    );
    this.#cores.add(core);
    const { url, close } = await startInteractiveHttp(core);
    this.#closers.push(close);
    return { url, ...extra };
  }

  /** Tells every fake, and those that come later, in this order. */
  tell(command: FakeCommand): void {
    if (command.open !== undefined) this.#commands.push(command);
    for (const socket of this.#sockets) socket.write(`${JSON.stringify(command)}\n`);
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

  #joined(socket: Socket): void {
    this.#sockets.add(socket);
    const lines = createInterface({ input: socket });
    // A fake that is killed leaves without a word. Both: a reader of lines raises its input's errors.
    for (const end of [socket, lines]) end.on("error", () => {});
    let connection: string | undefined;
    lines.on("line", (line) => {
      const event = JSON.parse(line) as FakeEvent;
      connection ??= event.connection;
      this.events.push(event);
      socket.write('{"heard":true}\n');
    });
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.events.push({ kind: "closed", ...(connection === undefined ? {} : { connection }) });
    });
    for (const command of this.#commands) socket.write(`${JSON.stringify(command)}\n`);
  }
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
