import * as v from "valibot";
import { CLIENT_KEYS } from "../src/config/client-keys.ts";
import { about } from "../src/config/schema-parts.ts";
import { loadOptions, schemaLink, serverOptions, SettingsSchema } from "../src/config/schema.ts";

await loadOptions("auth access limits sandbox metrics");

/** A whole file, for the JSON schema of editors: every layout, and the keys of other clients. */

/** A server with the keys of other clients, which the program maps or ignores with a warning. */
export const ServerFileSchema = v.pipe(
  v.strictObject({ ...serverOptions, ...clientOptions() }),
  v.metadata({
    description: "An MCP server: a program to start, or an address.",
    oneOf: ["command", "image", "url", "urls", "serverUrl", "httpUrl"].map((key) => ({
      required: [key],
    })),
  }),
);

function clientOptions() {
  return Object.fromEntries(
    Object.entries(CLIENT_KEYS).map(([key, { means, client }]) => {
      const description = means === undefined
        ? `A setting of ${client}, ignored here.`
        : `The same as "${means}", from ${client}.`;
      return [key, v.optional(v.pipe(v.unknown(), v.metadata({ description, clientKey: true })))];
    }),
  );
}

const otherLayouts = {
  servers: v.optional(v.pipe(
    v.unknown(),
    v.metadata({
      ...about('The servers, in the layout of VS Code or beside "proxy".', {
        gh: { type: "http", url: "https://example.com/mcp" },
      }),
      type: ["object", "array"],
    }),
  )),
  context_servers: v.optional(v.pipe(
    v.unknown(),
    v.metadata({
      ...about("The servers, in the layout of Zed.", { gh: { source: "custom", command: "npx" } }),
      type: "object",
    }),
  )),
  inputs: v.optional(v.pipe(
    v.unknown(),
    v.metadata({
      ...about("What ${input:id} may ask for, as in VS Code.", [{
        id: "api-key",
        type: "promptString",
      }]),
      type: "array",
      default: [],
    }),
  )),
  proxy: v.optional(v.pipe(
    v.unknown(),
    v.metadata({
      ...about("How the gateway listens and logs: host, port, log_level.", { port: 8000 }),
      type: "object",
    }),
  )),
  features: v.optional(v.pipe(
    v.unknown(),
    v.metadata({
      ...about("Features of another proxy; those that are on get a warning.", { metrics: true }),
      type: "object",
    }),
  )),
};

/** The whole file. */
export const ConfigFileSchema = v.pipe(
  v.strictObject({
    $schema: schemaLink,
    mcpServers: v.optional(v.pipe(
      v.record(v.pipe(v.string(), v.nonEmpty()), ServerFileSchema),
      v.metadata(about("The servers by name; the names of their tools start with it.", {
        memory: { command: "npx", args: ["-y", "@modelcontextprotocol/server-memory"] },
      })),
    )),
    ...otherLayouts,
    ...SettingsSchema.entries,
  }),
  v.metadata({
    title: "mcproxy configuration",
    description: "The servers the gateway connects to, and how it behaves. Every string may " +
      "contain ${NAME}, ${NAME:-default}, ${file:/path} and the like.",
    patternProperties: { "^x-": {} },
  }),
);
