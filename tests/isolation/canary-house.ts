import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bodyOf } from "../support/body.ts";
import { writeFiles } from "../config/temp.ts";

/** What every secret here begins with. */
export const MARK = "c4n4ry";

const secret = (place: string, rest = "5f2c") => `${MARK}-${place}-${rest}`;

/** Looks different wherever it is escaped. */
const ODD = secret("odd", `"q\\b ü/&5f2c`);
const LINES = `${secret("first-line")}\n${secret("second-line")}`;

/** Every way to bring a secret in, as it stands in the configuration. */
const SECRETS: Readonly<Record<string, string>> = {
  LITERAL: secret("literal"),
  ENVIRONMENT: "${FROM_ENV}",
  FALLBACK: `\${NONE:-${secret("fallback")}}`,
  FILE: "${file:token}",
  COMMAND: "${cmd:cat command-token}",
  CREDENTIAL: "${CREDENTIAL}",
  ODD: "${ODD}",
  LINES: "${LINES}",
};

/** Those that may stand in an argument or a header: on one line, of plain characters. */
const PLAIN = Object.values(SECRETS).filter((text) => text !== "${ODD}" && text !== "${LINES}");

/** The environment of the program. */
export const ENV = { FROM_ENV: secret("environment"), ODD, LINES };

/** The texts that must be nowhere: the mark itself, and as Basic authentication encodes it. */
export const FORBIDDEN = new RegExp(`${MARK}|${btoa(`me:${MARK}-lit`).slice(0, 10)}`, "i");

const SCRIPT = fileURLToPath(new URL("./canary-server.sh", import.meta.url));

/** A stdio server with all the secrets, in the environment and in arguments. */
function stdio(mode: string): Record<string, unknown> {
  const args = PLAIN.flatMap((text) => ["--token", text, `--api-key=${text}`]);
  const address = `https://me:${SECRETS["LITERAL"]}@example.com/?token=${SECRETS["ENVIRONMENT"]}`;
  const names = Object.keys(SECRETS).join(" ");
  return { command: "bash", args: [SCRIPT, mode, names, ...args, address], env: SECRETS };
}

/** HTTP servers with all of them in headers, and some in the URL and in the authentication. */
function http(origin: string, mode: string): Record<string, unknown> {
  const url = new URL(`/${mode}`, origin).href.replace("://", `://me:${SECRETS["FILE"]}@`);
  const headers = PLAIN.map((text, at) => [`X-Key-${at}`, text]);
  return {
    url: `${url}?api_key=${SECRETS["CREDENTIAL"]}`,
    headers: Object.fromEntries(headers),
  };
}

/** Servers that fail in all ways there are, and two that work and tell all they know. */
export function servers(origin: string): Readonly<Record<string, Record<string, unknown>>> {
  return {
    works: stdio("works"),
    crash: stdio("crash"),
    cut: stdio("cut"),
    junk: stdio("junk"),
    refuse: stdio("refuse"),
    version: stdio("version"),
    list: stdio("list"),
    hang: { ...stdio("hang"), startupTimeout: "2s" },
    missing: { ...stdio("missing"), command: `/nowhere/${SECRETS["FILE"]}` },
    cwd: { ...stdio("cwd"), cwd: `/nowhere/${SECRETS["CREDENTIAL"]}` },
    web: http(origin, "works"),
    unauthorized: http(origin, "401"),
    forbidden: http(origin, "403"),
    broken: http(origin, "500"),
    redirect: http(origin, "302"),
    html: http(origin, "html"),
    endless: http(origin, "endless"),
    error: http(origin, "error"),
    sse: { ...http(origin, "500"), transport: "sse" },
    refused: http("http://127.0.0.1:1", "x"),
    unknown: http("http://nowhere.invalid", "x"),
    bearer: { url: `${origin}/401`, auth: { type: "bearer", token: SECRETS["COMMAND"] } },
    basic: {
      url: `${origin}/500`,
      auth: { type: "basic", credentials: `me:${SECRETS["LITERAL"]}` },
    },
  };
}

/** An endpoint that fails, and tells the key and the address it was asked with. */
function embeddings(origin: string): Readonly<Record<string, unknown>> {
  const url = new URL("/500", origin).href.replace("://", `://me:${secret("embeddings-login")}@`);
  return {
    url: `${url}?api_key=${secret("embeddings-query")}`,
    model: "parrot",
    apiKey: secret("embeddings-key"),
  };
}

/** The names of the servers that work. */
export const WORKING = ["works", "web"];

/** What the tests change of the configuration. */
export interface CanaryConfig {
  readonly embeddings?: Readonly<Record<string, unknown>>;
  readonly mcpServers: Readonly<Record<string, unknown>>;
}

/** Writes what the configuration reads beside itself, and returns it for a file in `directory`. */
export async function canaryConfig(
  directory: string,
  origin: string,
): Promise<{ readonly config: CanaryConfig; readonly env: typeof ENV }> {
  await writeFiles(directory, {
    "token": `${secret("file")}\n`,
    "command-token": secret("command"),
    "credentials.json": JSON.stringify({ CREDENTIAL: secret("credential") }),
  });
  // The file itself may be anywhere.
  const absolute = JSON.stringify(servers(origin))
    .replaceAll("${file:token}", `\${file:${join(directory, "token")}}`)
    .replaceAll("cat command-token", `cat ${join(directory, "command-token")}`);
  const config = {
    allowCommands: true,
    staleGrace: "1m",
    embeddings: embeddings(origin),
    mcpServers: JSON.parse(absolute),
  };
  const env = { ...ENV, MCP_CREDENTIALS_PATH: join(directory, "credentials.json") };
  return { config, env };
}

/** An HTTP server that tells the headers and the URL of each request in its answer. */
export class Parrot {
  readonly #server = createServer((request, response) => void answer(request, response));
  private constructor() {
    // As the fakes: nothing is closed for being idle.
    this.#server.keepAliveTimeout = 0;
  }

  /** Starts it on a loopback port. */
  static async start(): Promise<Parrot> {
    const parrot = new Parrot();
    await new Promise<void>((resolve) => parrot.#server.listen(0, "127.0.0.1", resolve));
    return parrot;
  }

  /** Its address without path. */
  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  if (body === undefined) return;
  const { headers, url = "" } = request;
  const told = `${url} ${JSON.stringify(headers)} ${Object.values(headers).join(" ")}`;
  const mode = /^\/(\w+)/.exec(url)?.[1];
  const message = body === "" ? {} : JSON.parse(body);
  const reply = (member: unknown) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ jsonrpc: "2.0", id: message.id, ...member as object }));
  };
  const status = (code: number, type = "text/plain") => {
    response.statusMessage = "Told You So";
    response.writeHead(code, {
      "content-type": type,
      "www-authenticate": `Bearer realm="${encodeURIComponent(told)}"`,
      location: `http://127.0.0.1:1${url}`,
    });
    response.end(told);
  };
  if (mode === "401" || mode === "403" || mode === "500" || mode === "302") {
    return status(Number(mode));
  }
  if (mode === "html") return status(200, "text/html");
  // Without gaps, so that wherever it is cut, a secret is cut.
  const words = mode === "endless" ? String(headers["x-key-0"]).repeat(300) : told;
  if (mode === "error" || mode === "endless") {
    return reply({ error: { code: -32603, message: words, data: words } });
  }
  if (request.method !== "POST") return status(405);
  if (message.id === undefined) return status(202);
  switch (message.method) {
    case "initialize":
      return reply({
        result: {
          protocolVersion: "2025-11-25",
          capabilities: { tools: {} },
          serverInfo: { name: "parrot", version: "1" },
        },
      });
    case "tools/list":
      return reply({
        result: { tools: [{ name: "broken", inputSchema: { type: "object" } }] },
      });
    case "tools/call":
      return status(500);
    default:
      return reply({ error: { code: -32601, message: "Method not found" } });
  }
}
