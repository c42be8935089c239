/**
 * The tools that find tools. Their names, order and texts are the same whatever the servers offer,
 * so that a model's prompt cache, and clients that never list again, keep working; a changed letter
 * is a change for every client.
 */

import type { GatingConfig } from "../../config/gating.ts";
import type { JsonObject } from "../../lib/json.ts";

/** How much a call may do, by the annotations of its tool (server/tools: annotations). */
export type Risk = "read" | "write" | "destructive";

/** The names of all meta tools. */
export const META_TOOLS = [
  "discover_tools",
  "provision_tools",
  "list_provisioned_tools",
  "execute_tool",
  "execute_read",
  "execute_write",
  "execute_destructive",
  "list_mcp_servers",
] as const;

/** The name of a meta tool. */
export type MetaTool = (typeof META_TOOLS)[number];

const names: ReadonlySet<string> = new Set(META_TOOLS);

/** Whether this is the name of a meta tool. */
export function isMetaTool(name: unknown): name is MetaTool {
  return typeof name === "string" && names.has(name);
}

/** The meta tools that a gated view lists, as JSON texts. */
export function metaToolTexts(
  { splitByRisk }: Pick<GatingConfig, "splitByRisk">,
): readonly string[] {
  return splitByRisk ? SPLIT : WHOLE;
}

/** What clients are told about a gated view in place of what all its servers say. */
export const GATED_INSTRUCTIONS =
  "The tools of several servers are behind this one. Find them with discover_tools: say what you " +
  "want to do, as verb, object and service, one thing a query. Its answer has the id, parameters " +
  "and risk of each tool that fits. Read full schemas with provision_tools where a signature is " +
  "not enough, then call the tool by its id with execute_tool.";

const HANDLE = {
  type: "string",
  description: "Only where provision_tools returned one: keeps what was provisioned together",
};

const TOOL_ID = { type: "string", description: "id of a tool, as discover_tools returns it" };

const READS = { readOnlyHint: true, openWorldHint: false };

const DISCOVER: JsonObject = {
  name: "discover_tools",
  title: "Find tools",
  description:
    "Finds tools by what they do. Query: verb + object + service, one capability a call " +
    '("create issue github"). Returns the best tools with id, signature, description, size in ' +
    "tokens and risk. Call one with execute_tool.",
  inputSchema: {
    type: "object",
    properties: {
      query: { type: "string", description: "What the tool is to do, or its name" },
      tags: {
        type: "array",
        items: { type: "string" },
        description: "Only tools with all of these tags",
      },
      server: { type: "string", description: "Only tools of this server" },
      limit: { type: "integer", minimum: 1, maximum: 50, default: 8 },
    },
    required: ["query"],
  },
  annotations: READS,
};

const PROVISION: JsonObject = {
  name: "provision_tools",
  title: "Read tool schemas",
  description:
    "Returns full definitions of the tools, in the given order, as far as they fit into " +
    "context_tokens, and names those that do not. For tools whose signature is not enough.",
  inputSchema: {
    type: "object",
    properties: {
      tool_ids: { type: "array", items: TOOL_ID, minItems: 1, maxItems: 100 },
      context_tokens: {
        type: "integer",
        minimum: 0,
        description: "Most tokens the definitions may take together",
      },
      handle: HANDLE,
    },
    required: ["tool_ids"],
  },
  annotations: READS,
};

const LIST_PROVISIONED: JsonObject = {
  name: "list_provisioned_tools",
  title: "List provisioned tools",
  description: "Lists the tools that were provisioned so far.",
  inputSchema: { type: "object", properties: { handle: HANDLE } },
  annotations: READS,
};

const LIST_SERVERS: JsonObject = {
  name: "list_mcp_servers",
  title: "List servers",
  description:
    "Lists the servers with their state, how many tools each has, and what it is for. With " +
    "server: what that one says about how to use its tools.",
  inputSchema: {
    type: "object",
    properties: { server: { type: "string", description: "Only this server, in full" } },
  },
  annotations: READS,
};

function execute(name: string, description: string, annotations: JsonObject): JsonObject {
  return {
    name,
    title: "Call a tool",
    description,
    inputSchema: {
      type: "object",
      properties: {
        tool_id: TOOL_ID,
        arguments: { type: "object", description: "Arguments of that tool" },
        handle: HANDLE,
      },
      required: ["tool_id"],
    },
    annotations,
  };
}

const EXECUTE = execute(
  "execute_tool",
  "Calls a tool by its id and returns its result. Arguments that do not match are answered with " +
    "the tool's schema.",
  { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
);

const EXECUTE_BY_RISK = [
  execute(
    "execute_read",
    "Calls a tool whose risk is read: it changes nothing.",
    { readOnlyHint: true, openWorldHint: true },
  ),
  execute(
    "execute_write",
    "Calls a tool whose risk is read or write: it adds, and destroys nothing.",
    { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
  ),
  execute(
    "execute_destructive",
    "Calls a tool of any risk: it may change or delete what is there.",
    { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
  ),
];

const texts = (tools: readonly JsonObject[]) => tools.map((tool) => JSON.stringify(tool));
const WHOLE = texts([DISCOVER, PROVISION, LIST_PROVISIONED, EXECUTE, LIST_SERVERS]);
const SPLIT = texts([DISCOVER, PROVISION, LIST_PROVISIONED, ...EXECUTE_BY_RISK, LIST_SERVERS]);
