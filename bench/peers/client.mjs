// A small MCP client on raw sockets, the same for every side of the comparison: Streamable HTTP,
// and HTTP+SSE for what has no other. It needs a fraction of the time of what it measures.

import net from "node:net";

/** Answers up to this long are looked at in full; of longer ones the kind is. */
const SHORT = 8_192;

/** One keep-alive connection with one request at a time. */
class Connection {
  #socket;
  #text = "";
  #head;
  #waiting;
  #failure;

  constructor(port) {
    this.#socket = net.connect({ port, host: "127.0.0.1", noDelay: true }).setEncoding("latin1");
    this.#socket.on("data", (text) => this.#take(text));
    const fail = (error) => this.#waiting?.reject(this.#failure ??= error);
    this.#socket.on("error", fail);
    this.#socket.on("close", () => fail(new Error("the connection was closed")));
  }

  /** Sends a request; status, session and body of the answer. */
  send(request) {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#waiting = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close() {
    this.#socket.destroy();
  }

  #take(text) {
    this.#text += text;
    this.#head ??= headOf(this.#text);
    if (this.#head === undefined) return;
    const { status, session, from, length } = this.#head;
    // Nothing follows an answer before the next request, so the last chunk is what the text ends on.
    const isWhole = length === undefined
      ? this.#text.endsWith("\r\n0\r\n\r\n")
      : this.#text.length >= from + length;
    if (!isWhole) return;
    const body = this.#text.slice(from);
    this.#text = "";
    this.#head = undefined;
    this.#waiting.resolve({ status, session, body: length === undefined ? joined(body) : body });
  }
}

/** What the head of an answer says, once it is there; no length where the body is in chunks. */
function headOf(text) {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const of = (name) =>
    new RegExp(`\r\n${name}: *([^\r]*)\r\n`, "i").exec(text.slice(0, end + 2))?.[1];
  return {
    status: Number(text.slice(9, 12)),
    session: of("mcp-session-id"),
    from: end + 4,
    length: of("transfer-encoding") === "chunked" ? undefined : Number(of("content-length") ?? 0),
  };
}

function joined(chunks) {
  let body = "";
  for (let at = 0;;) {
    const from = chunks.indexOf("\r\n", at) + 2;
    const size = parseInt(chunks.slice(at, from), 16);
    if (!(size > 0)) return body;
    body += chunks.slice(from, from + size);
    at = from + size + 2;
  }
}

/** A client with a session of its own. */
export class Client {
  #port;
  #connection;
  #endpoint = "/mcp";
  #session;
  #stream;
  #heard;
  // Of as many digits all along, so that all requests are of one length.
  #id = 1_000_000;

  /** Opens a session at `{ port, sse }`. */
  static async open({ port, sse }) {
    const client = new Client();
    client.#port = port;
    client.#connection = new Connection(port);
    try {
      if (sse) await client.#listen(port);
      await client.request("initialize", {
        protocolVersion: sse ? "2024-11-05" : "2025-06-18",
        capabilities: {},
        clientInfo: { name: "bench", version: "1" },
      });
      await client.#post({ jsonrpc: "2.0", method: "notifications/initialized" });
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Sends a request; its answer as text. @throws {Error} for every answer but a result */
  async request(method, params) {
    const id = ++this.#id;
    const said = this.#stream && new Promise((...settle) => this.#heard = settle);
    said?.catch(() => {}); // Heard below, which a request that fails never comes to.
    const { body } = await this.#post({ jsonrpc: "2.0", id, method, params });
    const text = messageOf(said === undefined ? body : await said, id);
    if (text.length <= SHORT) {
      const { result } = JSON.parse(text);
      if (result === undefined || result.isError) throw new Error(text.slice(0, 200));
    } else if (!text.slice(0, 200).includes('"result"')) throw new Error(text.slice(0, 200));
    return text;
  }

  /** The names of all tools, as one list. */
  async tools() {
    return JSON.parse(await this.request("tools/list", {})).result.tools.map(({ name }) => name);
  }

  /**
   * Ends the session too, where it has an id, so that nothing of it counts in what comes after.
   * Waits for that a second at most, and never fails.
   */
  async close() {
    this.#connection.close();
    this.#stream?.destroy();
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    // One of its own: the other may be in the middle of an answer.
    const connection = new Connection(this.#port);
    const timer = setTimeout(() => connection.close(), 1_000);
    await connection.send(
      `DELETE ${this.#endpoint} HTTP/1.1\r\nhost: 127.0.0.1\r\n` +
        `accept: application/json, text/event-stream\r\n${headersOf(session)}\r\n`,
    ).catch(() => {});
    clearTimeout(timer);
    connection.close();
  }

  async #post(message) {
    const body = JSON.stringify(message);
    const session = this.#session === undefined ? "" : headersOf(this.#session);
    const answer = await this.#connection.send(
      `POST ${this.#endpoint} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n` +
        `accept: application/json, text/event-stream\r\n${session}` +
        `content-length: ${body.length}\r\n\r\n${body}`,
    );
    if (answer.status < 200 || answer.status > 299) {
      throw new Error(`HTTP ${answer.status}: ${answer.body.slice(0, 150)}`);
    }
    this.#session ??= answer.session;
    return answer;
  }

  /** Opens the stream of HTTP+SSE, whose first event says where to post. */
  #listen(port) {
    return new Promise((resolve, reject) => {
      this.#heard = [resolve, reject];
      let rest = "";
      this.#stream = net.connect(port, "127.0.0.1").setEncoding("latin1")
        .on("error", (error) => this.#heard[1](error))
        .on("close", () => this.#heard[1](new Error("the stream has ended")))
        .on("data", (text) => {
          rest += text;
          if (!text.includes("\n")) return;
          const lines = rest.split("\n");
          rest = lines.pop();
          // Each event comes in a chunk of its own, so that none of its lines is torn.
          for (const line of lines) {
            const isWanted = line.startsWith("data: /") || line.includes(`"id":${this.#id}`);
            if (isWanted) this.#heard[0](line);
          }
        });
      this.#stream.write(
        "GET /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n",
      );
    }).then((line) => this.#endpoint = line.slice(5).trim());
  }
}

function headersOf(session) {
  return `mcp-session-id: ${session}\r\nmcp-protocol-version: 2025-06-18\r\n`;
}

/** The JSON of the answer in a body, which is that or events. */
function messageOf(body, id) {
  if (body.startsWith("{")) return body;
  const line = body.split("\n").find((one) =>
    one.startsWith("data:") && one.includes(`"id":${id}`)
  );
  if (line === undefined) throw new Error(`no answer in ${body.slice(0, 150)}`);
  return line.slice(5).trim();
}
