import type { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { within } from "../../tests/support/inbox.ts";
import { emptyCache } from "../harness/cache.ts";
import { byRuntime, type Case, type Context, rest } from "../harness/case.ts";
import { fakeUpstreams } from "../harness/config.ts";
import { freePort } from "../harness/listening.ts";
import { gatewayCommand } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { startServer } from "../harness/server.ts";
import { clientSteps, ready, requestText } from "../harness/session.ts";

const SERVERS = 10;
const TOOLS = 20;

/** Longest wait for it, ms. */
const PATIENCE = 30_000;

/** Start of a gateway that knows the lists of its last run, to the first whole list of a client. */
export const restart: Case = { name: "restart", run };

async function run({ target, rounds }: Context): Promise<readonly Row[]> {
  using config = fakeUpstreams(SERVERS, { tools: TOOLS, delay: 1_000 });
  using cache = emptyCache();
  const command = (port?: number) => ({
    ...gatewayCommand(target, config.path, port),
    env: cache.env,
  });
  {
    await using first = await startServer(command());
    await ready(first);
  }
  const samples: number[] = [];
  for (let round = 0; round < 2 * rounds; round++) {
    const port = await freePort();
    const began = performance.now();
    const starting = startServer(command(port));
    const listing = within(firstList(port), "the first list", PATIENCE)
      .then((count) => ({ count, took: performance.now() - began }));
    listing.catch(() => {}); // Seen below, where the server is there to be stopped.
    await using _server = await starting;
    const { count, took } = await listing;
    if (count !== SERVERS * TOOLS) {
      throw new Error(`Cannot measure: the first list has ${count} tools`);
    }
    samples.push(took);
  }
  return [row({
    name: "first whole list after a restart",
    unit: "ms",
    ours: samples,
    budget: atMost(byRuntime(target, 120, 60)),
    note: "warm cache; start of the process to the answer of initialize and tools/list; ten " +
      "stdio upstreams that need 1 s each",
  })];
}

/** How many tools a client is told that connects as soon as it can. */
async function firstList(port: number): Promise<number> {
  const socket = await connected(port);
  try {
    const [initialize, initialized] = clientSteps();
    const opened = await ask(socket, initialize!);
    const session = /\r\nmcp-session-id: *(\S+)\r\n/i.exec(opened)![1]!;
    await ask(socket, initialized!.replace("SESSION", session));
    const answer = await ask(socket, requestText(session, "tools/list", {}));
    const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
    return (JSON.parse(body) as { result: { tools: unknown[] } }).result.tools.length;
  } finally {
    socket.destroy();
  }
}

async function connected(port: number): Promise<Socket> {
  for (const until = performance.now() + PATIENCE; performance.now() < until; await rest(2)) {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const isOpen = await new Promise((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    if (isOpen) return socket;
  }
  throw new Error(`Cannot measure: nobody listens on port ${port}`);
}

/** Sends a request and reads the answer to it, in full. */
function ask(socket: Socket, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const read = (bytes: Buffer) => {
      text += bytes.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(text)?.[1] ?? 0;
      if (end < 0 || text.length < end + 4 + Number(length)) return;
      socket.off("data", read);
      resolve(text);
    };
    socket.on("data", read);
    socket.once("close", () => reject(new Error("Cannot measure: the connection was closed")));
    socket.write(request);
  });
}
