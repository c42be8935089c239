/** Where a running gateway is asked. */

import { readFile } from "node:fs/promises";
import { type Io, UsageError } from "../app/io.ts";
import { listFiles, parseText, resolveConfigFiles } from "../config/files.ts";
import { isObject } from "../lib/json.ts";
import { hostInUrl, isLoopback } from "../lib/text.ts";
import type { Style } from "./view/table.ts";

/** The addresses of one gateway. */
export interface GatewayUrls {
  /** As people are told: without credentials, query and fragment. */
  readonly label: string;
  /** The endpoint that was named, the aggregated one unless it was another. */
  readonly mcp: string;
  /** The aggregated endpoint, or that of a profile, its tools gated or not whatever is configured. */
  gate(profile: string | undefined, gated: boolean): string;
  /** The endpoint that has this key in what is told of calls. */
  endpoint(key: string): string;
  readonly health: string;
  /** Below which it is asked and told of itself. */
  readonly api: string;
}

/** What a path ends with that names an endpoint; a gateway may sit below a path, behind a proxy. */
const ENDPOINT = /(?:\/(?:profiles|servers)\/[^/]+)?(?:\/(?:un)?gated)?\/mcp$/;

/**
 * The gateway at `text`, which may name its root or an endpoint; without, the one on this machine,
 * at `MCPROXY_HOST` and `MCPROXY_PORT` where they are set, else `http://127.0.0.1:12009`.
 * @throws {UsageError} for what is no http(s) URL
 */
export function gatewayUrls(
  text: string | undefined,
  env: Readonly<Record<string, string | undefined>> = {},
): GatewayUrls {
  const url = URL.parse(text ?? defaultUrl(env));
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new UsageError(
      `Cannot use ${JSON.stringify(text ?? defaultUrl(env))} as the address of a gateway; ` +
        'expected a URL such as "http://127.0.0.1:12009/mcp"',
    );
  }
  url.search = "";
  url.hash = "";
  const path = url.pathname.replace(/\/+$/, "");
  const [endpoint = "/mcp"] = ENDPOINT.exec(path) ?? [];
  url.pathname = path.replace(ENDPOINT, "");
  const base = url.href.replace(/\/$/, "");
  const shown = new URL(url);
  shown.username = shown.password = "";
  return {
    label: shown.href.replace(/\/$/, ""),
    mcp: base + endpoint,
    gate: (profile, gated) => {
      const view = profile === undefined ? "" : `/profiles/${encodeURIComponent(profile)}`;
      return `${base}${view}/${gated ? "gated" : "ungated"}/mcp`;
    },
    endpoint: (key) => {
      const parts = key.split("/").filter((part) => part !== "*").map(encodeURIComponent);
      return [base, ...parts, "mcp"].join("/");
    },
    health: `${base}/health`,
    api: `${base}/api`,
  };
}

/**
 * {@link gatewayUrls} of what a command was told, else of where the configuration says that a
 * gateway of this machine listens; what it says otherwise is nobody's business here.
 * @throws {UsageError}
 */
export async function namedGateway(
  text: string | undefined,
  io: Pick<Io, "env" | "cwd">,
): Promise<GatewayUrls> {
  return gatewayUrls(text, text === undefined ? (await ownAddress(io)).env : io.env);
}

/** What the files of a configuration say of its gateway. */
export interface OwnAddress {
  /** The files themselves; none where there is no configuration. */
  readonly files: readonly string[];
  /** The environment with the address in them. */
  readonly env: Io["env"];
  /** Whether they say who is let in. */
  readonly hasAuth: boolean;
}

/** Where the gateway of this configuration listens. */
export async function ownAddress(
  { env, cwd }: Pick<Io, "env" | "cwd">,
  path?: string | readonly string[],
): Promise<OwnAddress> {
  const found = await resolveConfigFiles({ path, env, cwd });
  const said: { MCPROXY_HOST?: string; MCPROXY_PORT?: string } = {};
  let hasAuth = false;
  const paths = found.ok ? found.paths : [];
  const listed = await Promise.all(paths.map((one) => listFiles(one, new Map())));
  const files = listed.flatMap((one) => one.files);
  for (const file of files) {
    const parsed = await parseText(await readFile(file, "utf8").catch(() => ""), file);
    const { host, port, auth } = parsed.ok && isObject(parsed.document.value)
      ? parsed.document.value
      : {};
    if (auth !== undefined) hasAuth = true;
    // A file of whatever folder this is must not send anybody to another machine.
    if (typeof host === "string" && isLoopback(hostInUrl(host))) said.MCPROXY_HOST = host;
    if (typeof port === "number") said.MCPROXY_PORT = String(port);
  }
  // An empty variable is none, as at a start.
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value));
  return { files, env: { ...said, ...set }, hasAuth };
}

function defaultUrl(env: Readonly<Record<string, string | undefined>>): string {
  const host = env["MCPROXY_HOST"] || "127.0.0.1";
  const port = env["MCPROXY_PORT"] || "12009";
  return `http://${hostInUrl(host)}:${port === "0" ? "12009" : port}/mcp`;
}

/**
 * What to paste into the usual clients for a gateway at `url`: whose it is, where it goes (a command
 * line, or a file), and the text as it is.
 */
export function snippets(url: string) {
  const typed = { type: "http", url };
  return [
    ["Claude Code", "shell", `claude mcp add --transport http mcproxy ${url}`],
    ["Claude Code", ".mcp.json", JSON.stringify({ mcpServers: { mcproxy: typed } })],
    ["Cursor", ".cursor/mcp.json", JSON.stringify({ mcpServers: { mcproxy: { url } } })],
    ["VS Code", ".vscode/mcp.json", JSON.stringify({ servers: { mcproxy: typed } })],
  ].map(([client = "", where = "", text = ""]) => ({ client, where, text }));
}

/** The snippets as lines, for the end of the start on a terminal. */
export function renderSnippets(url: string, style: Style): string[] {
  const rows = snippets(url).map((one) => ({ ...one, label: `${one.client}, ${one.where}` }));
  const width = Math.max(...rows.map(({ label }) => label.length));
  return rows.map(({ label, text }) => `  ${style.dim(label.padEnd(width))}  ${text}`);
}
