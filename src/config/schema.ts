/**
 * The shape of the configuration file. The JSON schema for editors is generated from this
 * (`scripts/schema.ts`), so every entry has its description, default and example here.
 */

import * as v from "valibot";
import { limits, profileOptions } from "./profiles.ts";
import type { accessOption } from "./schema-access.ts";
import type { authOption } from "./schema-auth.ts";
import type { auditOption, rateOption } from "./schema-limits.ts";
import type { serverAuthOption } from "./schema-login.ts";
import type { observeOptions } from "./schema-observe.ts";
import { gatingOptions } from "./schema-gating.ts";
import {
  about,
  address,
  becomes,
  choice,
  count,
  duration,
  flag,
  httpUrl,
  late,
  notArray,
  optional,
  prefix,
  prose,
  roots,
  separator,
  text,
  textMap,
  texts,
  URL_OR_VARIABLE,
} from "./schema-parts.ts";
import { TRANSFORM_ENTRIES } from "./schema-results.ts";
import type { confiningOptions } from "./schema-sandbox.ts";
import { shapingOptions } from "./schema-shaping.ts";

const ROOTS = "What a server is told that asks for roots outside any call of a client.";
const STARTUP_TIMEOUT = "How long a server may take from its start to the end of the handshake.";
const TIMEOUT = "How long a request may take; each progress notification starts the time anew.";
const DRAIN_TIMEOUT =
  "How long calls in flight may go on when a reload changes or removes their server.";
const HEALTH_INTERVAL =
  "A server that has been silent for this long is asked whether it is there; 0 never asks.";
const HEALTH_THRESHOLD =
  "After so many probes without an answer, one after the other, the connection is made anew.";

const auth = late<typeof serverAuthOption>();

const CONFINING = ["sandbox", "image", "mounts", "network"] as const;
const confining = Object.fromEntries(
  CONFINING.map((key) => [key, late()]),
) as unknown as typeof confiningOptions;

/** What `transport` and `type` may say. */
export const TRANSPORTS = ["stdio", "http", "streamable-http", "sse"] as const;

const PIN_MODES = ["warn", "block", "off"] as const;
const PIN =
  "What becomes of tools, prompts and instructions that are not as they were approved, or are new: " +
  "warn tells of them, block holds them back until mcproxy approve, off compares nothing.";

/** The description of an option of a server that all of them have, too. */
function inherited(description: string): string {
  return `${description} By default as for all servers.`;
}

const rate = late<typeof rateOption>();

/** The options of one server: the form every MCP client uses, and what we add to it. */
export const serverOptions = optional({
  command: text("Program to start; it speaks MCP on stdin and stdout.", "npx"),
  args: texts("Arguments of the program.", ["-y", "@modelcontextprotocol/server-memory"]),
  env: textMap("Environment variables of the program, beside a small safe list it inherits.", {
    MEMORY_FILE_PATH: "${HOME}/memory.jsonl",
  }),
  envFile: text(
    "File of NAME=value lines with more environment variables; those in env come before it.",
    "${workspaceFolder}/.env",
  ),
  cwd: text("Working directory of the program; that of the gateway by default.", "${HOME}"),
  ...confining,
  url: v.pipe(
    httpUrl,
    v.metadata({
      ...about("Address of a server reached over HTTP.", "https://example.com/mcp"),
      pattern: URL_OR_VARIABLE,
    }),
  ),
  urls: v.pipe(
    v.array(v.pipe(httpUrl, v.metadata({ pattern: URL_OR_VARIABLE })), "an array of URLs"),
    v.minLength(1, "at least one URL"),
    v.metadata(about(
      "Addresses of several equal servers, instead of url: calls go to the one with the fewest.",
      ["http://10.0.0.1/mcp", "http://10.0.0.2/mcp"],
    )),
  ),
  instances: count(
    1,
    64,
    "How many processes of a command run; calls go to the one with the fewest.",
    { example: 2, standard: 1 },
  ),
  headers: textMap("HTTP headers sent with every request.", { Authorization: "Bearer ${TOKEN}" }),
  auth,
  transport: choice(
    TRANSPORTS,
    "Pins the transport. By default a command means stdio, and a url means Streamable HTTP " +
      "with a fall-back to HTTP+SSE.",
  ),
  type: choice(TRANSPORTS, 'The same as "transport", under the name some clients use.'),
  protocol: choice(
    ["auto", "legacy", "modern"],
    "Pins the protocol era: legacy is up to 2025-11-25, modern from 2026-07-28. By default the " +
      "gateway asks the server.",
  ),
  disabled: flag("True leaves this server out.", false),
  enabled: flag('The opposite of "disabled", under the name some clients use.', true),
  startupTimeout: duration(1, inherited(STARTUP_TIMEOUT), "60s"),
  timeout: duration(1, inherited(TIMEOUT), "10m"),
  drainTimeout: duration(0, inherited(DRAIN_TIMEOUT), "2m"),
  healthInterval: duration(0, inherited(HEALTH_INTERVAL), "1m"),
  healthThreshold: count(1, 100, inherited(HEALTH_THRESHOLD), { example: 3 }),
  lazy: flag(
    "Starts the server at its first use. Until then its lists are those of the last time; where " +
      "there are none yet, it is started once to read them.",
    false,
  ),
  idleTimeout: duration(1, "A server unused for this long is stopped until its next use.", "15m"),
  maxConcurrency: count(1, 100_000, "How many calls the server gets at a time; the others wait.", {
    example: 8,
  }),
  maxQueue: count(
    0,
    100_000,
    "How many calls may wait where maxConcurrency is reached.",
    { example: 20, standard: 100 },
  ),
  rate,
  prefix,
  separator,
  sharing: choice(
    ["auto", "shared", "session"],
    "Whose the connection to a server of the legacy protocol is: one for all clients, one for " +
      "each client session, or (auto) shared until the server asks clients something that " +
      "cannot be attributed to one of them.",
  ),
  roots: roots(inherited(ROOTS)),
  ...shapingOptions,
  ...TRANSFORM_ENTRIES,
  pin: choice(PIN_MODES, inherited(PIN)),
  description: prose("A note for people; the gateway ignores it.", "Issues and pull requests"),
}, { protocol: "auto", sharing: "auto", maxResultBytes: 0, replace: () => [], cache: () => ({}) });

/** One server. */
export const ServerSchema = v.strictObject(serverOptions, "an object");

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
    default: { socket: "/dev/log" },
    minProperties: 1,
    maxProperties: 1,
  }),
  v.transform(({ socket, udp, tcp }): { socket: string } | { udp: string } | { tcp: string } =>
    socket !== undefined ? { socket } : udp !== undefined ? { udp } : { tcp: tcp ?? "" }
  ),
);

const gatewayAuth = late<typeof authOption>();
const access = late<typeof accessOption>();
const audit = late<typeof auditOption>();

/** The settings about what is to be seen, and what they are where the file says nothing. */
const SEEING = {
  metrics: true,
  history: { days: 30, maxSize: 67_108_864, bodies: "off" },
  otel: undefined,
  dashboard: { mode: "auto", edit: false },
  alerts: undefined,
} as const;
const seeing = Object.fromEntries(
  Object.entries(SEEING).map(([key, standard]) => [key, late(standard)]),
) as unknown as typeof observeOptions;

/** What {@link loadOptions} has loaded, for what looks at settings beside each other. */
export const lateSchemas: {
  auth?: typeof import("./schema-auth.ts");
  login?: typeof import("./schema-login.ts");
  access?: typeof import("./schema-access.ts");
  confining?: typeof import("./schema-sandbox.ts");
  observe?: typeof import("./schema-observe.ts");
} = {};

function mentions(keys: readonly string[]): RegExp {
  const any = keys.join("|");
  return new RegExp(`\\b(?:${any})\\b|MCPROXY_(?:${any.toUpperCase()})`);
}

function becomesEach<Schemas extends object>(stands: Schemas, schemas: Schemas): void {
  for (const [key, stand] of Object.entries(stands)) becomes(stand, schemas[key as keyof Schemas]);
}

/**
 * Loads the schemas of settings that few have, if this text may have one: to be awaited before a
 * configuration, or the environment, is checked.
 */
export async function loadOptions(text: string): Promise<void> {
  if (/\bauth\b|MCPROXY_AUTH/.test(text)) {
    lateSchemas.auth = await import("./schema-auth.ts");
    becomes(gatewayAuth, lateSchemas.auth.authOption);
    lateSchemas.login = await import("./schema-login.ts");
    becomes(auth, lateSchemas.login.serverAuthOption);
  }
  if (/\baccess\b|MCPROXY_ACCESS/.test(text)) {
    lateSchemas.access = await import("./schema-access.ts");
    becomes(access, lateSchemas.access.accessOption);
  }
  if (mentions(CONFINING).test(text)) {
    const { confiningOptions } = lateSchemas.confining = await import("./schema-sandbox.ts");
    becomesEach(confining, confiningOptions);
  }
  if (/\b(?:limits|audit|rate)\b|MCPROXY_(?:LIMITS|AUDIT)/.test(text)) {
    const { limitsOption, auditOption, rateOption } = await import("./schema-limits.ts");
    becomes(limits, limitsOption);
    becomes(audit, auditOption);
    becomes(rate, rateOption);
  }
  if (mentions(Object.keys(SEEING)).test(text)) {
    const { observeOptions } = lateSchemas.observe = await import("./schema-observe.ts");
    becomesEach(seeing, observeOptions);
  }
}

/** The settings at the top of the file, beside `mcpServers`, with their defaults. */
export const SettingsSchema = v.strictObject(optional({
  host: text(
    "Address to listen on. Anything but loopback needs authentication.",
    "127.0.0.1",
    "::1",
  ),
  port: count(0, 65_535, "Port to listen on; 0 picks a free one.", {
    example: 12009,
    expected: "a port number from 0 to 65535",
  }),
  prefix,
  separator,
  startupTimeout: duration(1, STARTUP_TIMEOUT, "60s"),
  timeout: duration(1, TIMEOUT, "10m"),
  roots: roots(ROOTS),
  drainTimeout: duration(0, DRAIN_TIMEOUT, "2m"),
  healthInterval: duration(0, HEALTH_INTERVAL, "1m"),
  healthThreshold: count(1, 100, HEALTH_THRESHOLD, { example: 3 }),
  warmStart: flag(
    "Whether the lists of the last run are shown until the servers have answered again.",
  ),
  startupGrace: duration(0, "How long after a start first lists wait for servers.", "2s"),
  pin: choice(PIN_MODES, PIN),
  staleGrace: duration(0, "How long a server that was lost keeps its entries in the lists.", "1h"),
  sessionIdleTimeout: duration(
    1,
    "A session unused for this long leaves the memory; its next request brings it back.",
    "2h",
  ),
  sessionMaxAge: duration(
    0,
    "How old a session may be that goes on after a restart, or after it was unused.",
    "24h",
  ),
  shutdownTimeout: duration(0, "How long a stop waits for calls in flight.", "10s"),
  bodyLimit: v.pipe(
    v.number("a number of bytes, at least 1024"),
    v.integer("a number of bytes, at least 1024"),
    v.minValue(1024, "a number of bytes, at least 1024"),
    v.maxValue(1_073_741_824, "a number of bytes, at most 1073741824"),
    v.metadata(about("Largest request body accepted, in bytes.", 16_777_216)),
  ),
  pageSize: v.pipe(
    v.number("a number of entries, 0 for no limit"),
    v.integer("a number of entries, 0 for no limit"),
    v.minValue(0, "a number of entries, 0 for no limit"),
    v.metadata(
      about("Most entries in one answer to a list request; 0 puts all of them in one.", 500),
    ),
  ),
  publicUrl: v.pipe(
    httpUrl,
    v.metadata(about(
      "Where clients reach the gateway that is behind a proxy: its host joins allowedHosts, and its " +
        "path comes before those that the gateway tells.",
      "https://mcp.example.com/gateway",
    )),
  ),
  allowedHosts: texts('Values of the "Host" header accepted beside the loopback names.', [
    "mcp.example.com",
  ]),
  allowedOrigins: texts(
    'Values of the "Origin" header accepted beside the loopback origins.',
    ["https://app.example.com"],
  ),
  logLevel: choice(
    ["trace", "debug", "info", "warning", "error", "fatal"],
    "The lowest level that is logged.",
  ),
  logFormat: choice(["text", "json"], "How log lines are written."),
  syslog: SyslogSchema,
  cacheSize: count(
    0,
    1_073_741_824,
    "How many bytes of results are kept for all servers; 0 keeps none, whatever they say.",
    { example: 67_108_864, expected: "a number of bytes from 0 to 1073741824" },
  ),
  allowCommands: flag(
    "Whether ${cmd:…} runs its command at every start and reload. Only for files that nobody " +
      "else can write.",
  ),
  auth: gatewayAuth,
  access,
  limits,
  audit,
  ...seeing,
  ...gatingOptions,
  ...profileOptions,
}, {
  host: "127.0.0.1",
  port: 12009,
  prefix: "always",
  separator: "_",
  startupTimeout: "30s",
  timeout: "5m",
  drainTimeout: "30s",
  healthInterval: "30s",
  healthThreshold: 2,
  warmStart: true,
  startupGrace: "1s",
  pin: "warn",
  staleGrace: "5m",
  sessionIdleTimeout: "30m",
  sessionMaxAge: "168h",
  shutdownTimeout: "4s",
  bodyLimit: 4_194_304,
  pageSize: 0,
  allowedHosts: () => [],
  allowedOrigins: () => [],
  logLevel: "info",
  logFormat: "text",
  cacheSize: 16_777_216,
  allowCommands: false,
  ...SEEING,
  gating: {},
  profiles: () => ({}),
  tags: () => ({}),
}));

/** What people write to get completion in an editor; the file is beside the program. */
const SCHEMA_ADDRESS = "./schema/mcp-servers.schema.json";

/** `$schema`. */
export const schemaLink = v.optional(
  prose("Address of the JSON schema, for editors.", SCHEMA_ADDRESS),
);

/** The keys of the root, the servers unchecked: each of them is checked on its own. */
export const RootSchema = v.strictObject({
  $schema: schemaLink,
  mcpServers: v.optional(notArray(v.record(v.string(), v.unknown(), "an object of servers"))),
  ...SettingsSchema.entries,
});

/** A server as the schema leaves it: checked, durations in milliseconds. */
export type CheckedServer = v.InferOutput<typeof ServerSchema>;
