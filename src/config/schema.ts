/**
 * The shape of the configuration file. The JSON schema for editors is generated from this
 * (`scripts/schema.ts`), so every entry has its description, default and example here.
 *
 * The message of each check is the second half of a sentence: "found …, expected <message>".
 */

import * as v from "valibot";
import { DURATION_PATTERN, MAX_DURATION_MS, parseDuration } from "../lib/duration.ts";
import { suggest } from "../lib/suggest.ts";
import { ROOT_HINT, rootUri } from "./roots.ts";

const DURATION_HINT = 'a duration such as 5000, "5s" or "2m"';

/** Text that is a variable passes in an editor: what it contains shows at start only. */
const DURATION_OR_VARIABLE = String.raw`^(\d+(\.\d+)?(ms|s|m|h)|.*\$\{.*)$`;
const URL_OR_VARIABLE = String.raw`^(https?://|.*\$\{)`;

function about(description: string, ...examples: readonly unknown[]) {
  return { description, ...(examples.length === 0 ? {} : { examples: [...examples] }) };
}

function text(description: string, ...examples: readonly string[]) {
  return v.pipe(
    v.string("a string"),
    v.nonEmpty("a string that is not empty"),
    v.metadata(about(description, ...examples)),
  );
}

function flag(description: string) {
  return v.pipe(v.boolean("true or false"), v.metadata(about(description)));
}

/** A duration of at least `least` milliseconds; its output is milliseconds. */
function duration(least: number, description: string, ...examples: readonly (string | number)[]) {
  return v.pipe(
    v.union([
      v.pipe(v.number(), v.metadata({ minimum: least, maximum: MAX_DURATION_MS })),
      v.pipe(v.string(), v.metadata({ pattern: DURATION_OR_VARIABLE })),
    ], DURATION_HINT),
    v.check((value) => (parseDuration(value) ?? -1) >= least, ({ input }) => durationHint(input)),
    v.metadata(
      about(`${description} Milliseconds, or text with a unit: ms, s, m, h.`, ...examples),
    ),
    v.transform((value) => parseDuration(value) ?? least),
  );
}

function durationHint(value: string | number): string {
  if (parseDuration(value) === 0) return `${DURATION_HINT}, more than 0`;
  const isTooLong = typeof value === "number"
    ? value > MAX_DURATION_MS
    : DURATION_PATTERN.test(value.trim());
  return isTooLong ? "a duration of at most 24 days" : DURATION_HINT;
}

function choice<const Options extends readonly string[]>(
  options: Options,
  description: string,
) {
  return v.pipe(
    v.picklist(options, ({ input }) => {
      const meant = typeof input === "string" ? suggest(input, options) : undefined;
      const list = options.map((option) => `"${option}"`).join(", ");
      return `one of ${list}${meant === undefined ? "" : ` (did you mean "${meant}"?)`}`;
    }),
    v.metadata(about(description)),
  );
}

function texts(description: string, ...examples: readonly (readonly string[])[]) {
  return v.pipe(
    v.array(v.string("a string"), "an array of strings"),
    v.metadata(about(description, ...examples)),
  );
}

function textMap(description: string, example: Readonly<Record<string, string>>) {
  return v.pipe(
    notArray(v.record(v.string(), v.string("a string"), "an object of strings")),
    v.metadata(about(description, example)),
  );
}

/** For valibot an array is an object with keys "0", "1", …; in a configuration it is a mistake. */
function notArray<Schema extends v.GenericSchema>(schema: Schema): Schema {
  return {
    ...schema,
    "~run"(dataset: { value: unknown }, config: v.Config<v.BaseIssue<unknown>>) {
      if (Array.isArray(dataset.value)) dataset.value = null;
      return schema["~run"](dataset as v.UnknownDataset, config);
    },
  };
}

function isHttpUrl(value: string): boolean {
  return URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}

/** `host:port`, the host possibly an IPv6 address in brackets. */
function address(description: string, example: string) {
  return v.pipe(
    v.string("a string"),
    v.check((value) => {
      const port = /^(?:[^\s:/[\]]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(value)?.[1];
      return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
    }, `"host:port" such as "${example}"`),
    v.metadata(about(description, example)),
  );
}

const prefix = choice(
  ["always", "conflict", "never"],
  "When the name of a tool or prompt starts with the name of its server: always, only where two " +
    "servers have the same name to offer, or never.",
);

const separator = v.pipe(
  v.string("a string"),
  v.regex(/^[A-Za-z0-9_-]{1,8}$/, 'one to eight of the characters A-Z a-z 0-9 "_" "-"'),
  v.metadata(about("What stands between the name of the server and that of the tool.", "_", "__")),
);

const rootText = v.pipe(
  v.string("a string"),
  v.check((value) => rootUri(value) !== undefined, ROOT_HINT),
);

function roots(description: string) {
  return v.pipe(
    v.array(
      v.union([
        v.pipe(rootText, v.transform((text) => ({ uri: rootUri(text) ?? text }))),
        v.pipe(
          notArray(v.strictObject({
            uri: v.pipe(rootText, v.metadata(about("Absolute path or file:// URI."))),
            name: v.optional(text("What people call it.", "My project")),
          })),
          v.transform(({ uri, name }) => ({
            uri: rootUri(uri) ?? uri,
            ...(name === undefined ? {} : { name }),
          })),
        ),
      ], `${ROOT_HINT}, or an object with "uri" and "name"`),
      "an array of roots",
    ),
    v.metadata(about(description, ["/home/me/project"], [{ uri: "/srv/data", name: "Data" }])),
  );
}

const ROOTS = "What a server is told that asks for roots outside any call of a client.";
const STARTUP_TIMEOUT = "How long a server may take from its start to the end of the handshake.";
const TIMEOUT = "How long a request may take; each progress notification starts the time anew.";

/** One server, in the form every MCP client uses, and what we add to it. */
export const ServerSchema = v.pipe(
  v.strictObject({
    command: v.optional(text("Program to start; it speaks MCP on stdin and stdout.", "npx")),
    args: v.optional(
      texts("Arguments of the program.", ["-y", "@modelcontextprotocol/server-memory"]),
    ),
    env: v.optional(
      textMap("Environment variables of the program, beside a small safe list it inherits.", {
        MEMORY_FILE_PATH: "${HOME}/memory.jsonl",
      }),
    ),
    cwd: v.optional(
      text("Working directory of the program; that of the gateway by default.", "${HOME}"),
    ),
    url: v.optional(v.pipe(
      v.string("a string"),
      v.check(isHttpUrl, 'a URL such as "https://example.com/mcp"'),
      v.metadata({
        ...about("Address of a server reached over HTTP.", "https://example.com/mcp"),
        pattern: URL_OR_VARIABLE,
      }),
    )),
    headers: v.optional(
      textMap("HTTP headers sent with every request.", { Authorization: "Bearer ${TOKEN}" }),
    ),
    transport: v.optional(
      choice(
        ["stdio", "http", "streamable-http", "sse"],
        "Pins the transport. By default a command means stdio, and a url means Streamable HTTP " +
          "with a fall-back to HTTP+SSE.",
      ),
    ),
    type: v.optional(
      choice(
        ["stdio", "http", "streamable-http", "sse"],
        'The same as "transport", under the name some clients use.',
      ),
    ),
    protocol: v.optional(
      choice(
        ["auto", "legacy", "modern"],
        "Pins the protocol era: legacy is up to 2025-11-25, modern from 2026-07-28. By default the " +
          "gateway asks the server.",
      ),
      "auto",
    ),
    disabled: v.optional(flag("True leaves this server out.")),
    enabled: v.optional(flag('The opposite of "disabled", under the name some clients use.')),
    startupTimeout: v.optional(duration(1, STARTUP_TIMEOUT, "60s")),
    timeout: v.optional(duration(1, TIMEOUT, "10m")),
    prefix: v.optional(prefix),
    separator: v.optional(separator),
    sharing: v.optional(
      choice(
        ["auto", "shared", "session"],
        "Whose the connection to a server of the legacy protocol is: one for all clients, one for " +
          "each client session, or (auto) shared until the server asks clients something that " +
          "cannot be attributed to one of them.",
      ),
      "auto",
    ),
    roots: v.optional(roots(ROOTS)),
    description: v.optional(
      v.pipe(v.string("a string"), v.metadata(about("A note for people; the gateway ignores it."))),
    ),
    alwaysAllow: v.optional(
      v.pipe(v.unknown(), v.metadata(about("A setting of other clients, ignored here."))),
    ),
    autoApprove: v.optional(
      v.pipe(v.unknown(), v.metadata(about("A setting of other clients, ignored here."))),
    ),
  }, "an object"),
  v.metadata({
    description: "An MCP server: a program to start, or an address.",
    oneOf: [{ required: ["command"] }, { required: ["url"] }],
  }),
);

const SyslogSchema = v.pipe(
  notArray(v.strictObject({
    socket: v.optional(text("Path of a unix datagram socket.", "/dev/log")),
    udp: v.optional(address("Host and port of a syslog server over UDP.", "logs.example.com:514")),
    tcp: v.optional(address("Host and port of a syslog server over TCP.", "logs.example.com:601")),
  }, 'an object with "socket", "udp" or "tcp"')),
  v.check(
    ({ socket, udp, tcp }) => [socket, udp, tcp].filter((one) => one !== undefined).length === 1,
    'exactly one of "socket", "udp" and "tcp"',
  ),
  v.metadata({
    ...about("Where syslog messages go; the local socket /dev/log by default.", {
      udp: "logs.example.com:514",
    }),
    minProperties: 1,
    maxProperties: 1,
  }),
  v.transform(({ socket, udp, tcp }) =>
    socket !== undefined ? { socket } : udp !== undefined ? { udp } : { tcp: tcp ?? "" }
  ),
);

/** The settings at the top of the file, beside `mcpServers`, with their defaults. */
export const SettingsSchema = v.strictObject({
  host: v.optional(
    text("Address to listen on. Anything but loopback needs authentication.", "127.0.0.1", "::1"),
    "127.0.0.1",
  ),
  port: v.optional(
    v.pipe(
      v.number("a port number from 0 to 65535"),
      v.integer("a port number from 0 to 65535"),
      v.minValue(0, "a port number from 0 to 65535"),
      v.maxValue(65_535, "a port number from 0 to 65535"),
      v.metadata(about("Port to listen on; 0 picks a free one.", 12009)),
    ),
    12009,
  ),
  prefix: v.optional(prefix, "always"),
  separator: v.optional(separator, "_"),
  startupTimeout: v.optional(duration(1, STARTUP_TIMEOUT, "60s"), "30s"),
  timeout: v.optional(duration(1, TIMEOUT, "10m"), "5m"),
  roots: v.optional(roots(ROOTS)),
  startupGrace: v.optional(
    duration(0, "How long the first list waits while no server is ready yet.", "2s"),
    "1s",
  ),
  staleGrace: v.optional(
    duration(0, "How long a server that was lost keeps its entries in the lists.", "1h"),
    "5m",
  ),
  sessionIdleTimeout: v.optional(
    duration(1, "A session unused for this long is ended.", "2h"),
    "30m",
  ),
  shutdownTimeout: v.optional(
    duration(0, "How long a stop waits for calls in flight.", "10s"),
    "4s",
  ),
  bodyLimit: v.optional(
    v.pipe(
      v.number("a number of bytes, at least 1024"),
      v.integer("a number of bytes, at least 1024"),
      v.minValue(1024, "a number of bytes, at least 1024"),
      v.maxValue(1_073_741_824, "a number of bytes, at most 1073741824"),
      v.metadata(about("Largest request body accepted, in bytes.", 16_777_216)),
    ),
    4_194_304,
  ),
  pageSize: v.optional(
    v.pipe(
      v.number("a number of entries, 0 for no limit"),
      v.integer("a number of entries, 0 for no limit"),
      v.minValue(0, "a number of entries, 0 for no limit"),
      v.metadata(
        about("Most entries in one answer to a list request; 0 puts all of them in one.", 500),
      ),
    ),
    0,
  ),
  allowedHosts: v.optional(
    texts('Values of the "Host" header accepted beside the loopback names.', ["mcp.example.com"]),
    () => [],
  ),
  allowedOrigins: v.optional(
    texts(
      'Values of the "Origin" header accepted beside the loopback origins.',
      ["https://app.example.com"],
    ),
    () => [],
  ),
  logLevel: v.optional(
    choice(
      ["trace", "debug", "info", "warning", "error", "fatal"],
      "The lowest level that is logged.",
    ),
    "info",
  ),
  logFormat: v.optional(choice(["text", "json"], "How log lines are written."), "text"),
  syslog: v.optional(SyslogSchema),
});

const schemaLink = v.optional(v.pipe(
  v.string("a string"),
  v.metadata(about("Address of the JSON schema, for editors.")),
));

/** The keys of the root, the servers unchecked: each of them is checked on its own. */
export const RootSchema = v.strictObject({
  $schema: schemaLink,
  mcpServers: notArray(v.record(v.string(), v.unknown(), "an object of servers")),
  ...SettingsSchema.entries,
});

/** The whole file, for the JSON schema. */
export const ConfigFileSchema = v.pipe(
  v.strictObject({
    $schema: schemaLink,
    mcpServers: v.pipe(
      v.record(v.pipe(v.string(), v.nonEmpty()), ServerSchema),
      v.metadata(about("The servers by name; the names of their tools start with it.")),
    ),
    ...SettingsSchema.entries,
  }),
  v.metadata({
    title: "mcproxy configuration",
    description: "The servers the gateway connects to, and how it behaves. Every string may " +
      "contain ${NAME} and ${NAME:-default}.",
  }),
);

/** A server as the schema leaves it: checked, durations in milliseconds. */
export type CheckedServer = v.InferOutput<typeof ServerSchema>;
