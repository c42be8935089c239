/**
 * The tools that find tools. Their names, order and texts are the same whatever the servers offer,
 * so that a model's prompt cache, and clients that never list again, keep working; a changed letter
 * is a change for every client.
 */

import type { GatingConfig } from "../config/types.ts";
import type { JsonObject } from "../lib/json.ts";
import { isWithin, type Risk, RISKS } from "../registry/filter.ts";

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

/** The meta tools that call other tools. */
export type Executor = Extract<MetaTool, `execute_${string}`>;

/** Whether this meta tool calls other tools. */
export function isExecutor(name: MetaTool): name is Executor {
  return name.startsWith("execute_");
}

/** Which set of meta tools a view has. */
type ToolSet = Pick<GatingConfig, "splitByRisk">;

/** The meta tools that a gated view lists, as JSON texts. */
export function metaToolTexts({ splitByRisk }: ToolSet): readonly string[] {
  return splitByRisk ? SPLIT : WHOLE;
}

/** What clients are told about a gated view in place of what all its servers say. */
export function gatedInstructions({ splitByRisk }: ToolSet): string {
  return (
    "The tools of several servers are behind this one. Find them with discover_tools: say what " +
    "you want to do, as verb, object and service, one thing a query. Its answer has the id, " +
    "parameters and hints about the risk of each tool that fits. Read full schemas with " +
    "provision_tools where a signature is not enough, then call the tool by its id with " +
    `${splitByRisk ? "the execute_ tool that is named beside it" : "execute_tool"}.`
  );
}

const STRING = { type: "string" };

/** What provision_tools gives a client without a session; its description says so, once for all. */
const HANDLE = STRING;

const READS = { readOnlyHint: true, openWorldHint: false };

/** A tool with these parameters. */
function metaTool(
  name: MetaTool,
  title: string,
  description: string,
  properties: JsonObject,
  required: readonly string[] = [],
  annotations: JsonObject = READS,
): JsonObject {
  const inputSchema = {
    type: "object",
    properties,
    ...(required.length === 0 ? {} : { required: [...required] }),
  };
  return { name, title, description, inputSchema, annotations };
}

const discover = (how: string): JsonObject =>
  metaTool(
    "discover_tools",
    "Find tools",
    "Finds tools by what they do. query: verb + object + service, one thing a call " +
      `("create issue github"). Returns id(parameters), purpose, [risk, tokens]. Call with ${how}.`,
    {
      query: STRING,
      tags: { type: "array", items: STRING },
      server: STRING,
      limit: { type: "integer", default: 8 },
    },
    ["query"],
  );

const PROVISION = metaTool(
  "provision_tools",
  "Read tool schemas",
  "Returns full schemas of tools, as many as fit into context_tokens; needed only " +
    "where parameters are not enough. If it returns a handle, pass that on.",
  {
    tool_ids: { type: "array", items: STRING },
    context_tokens: { type: "integer" },
    handle: HANDLE,
  },
  ["tool_ids"],
);

const LIST_PROVISIONED = metaTool(
  "list_provisioned_tools",
  "List provisioned tools",
  "Lists provisioned tools.",
  { handle: HANDLE },
);

const LIST_SERVERS = metaTool(
  "list_mcp_servers",
  "List servers",
  "Lists servers: state, number of tools, purpose. With server: its instructions.",
  { server: STRING },
);

function execute(name: Executor, description: string, annotations: JsonObject): JsonObject {
  const properties = { tool_id: STRING, arguments: { type: "object" }, handle: HANDLE };
  return metaTool(name, "Call a tool", description, properties, ["tool_id"], annotations);
}

const EXECUTE = execute(
  "execute_tool",
  "Calls a tool by its id. Wrong arguments are answered with its schema.",
  { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
);

const EXECUTE_BY_RISK = [
  execute(
    "execute_read",
    "Calls a tool that only reads, by its id.",
    { readOnlyHint: true, openWorldHint: true },
  ),
  execute(
    "execute_write",
    "Calls a tool that reads, or adds and destroys nothing, by its id.",
    { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
  ),
  execute(
    "execute_destructive",
    "Calls any tool by its id, also one that changes or deletes what is there.",
    { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
  ),
];

const listed = (how: string, executors: readonly JsonObject[]): readonly string[] =>
  [discover(how), PROVISION, LIST_PROVISIONED, ...executors, LIST_SERVERS]
    .map((tool) => JSON.stringify(tool));
const WHOLE = listed("execute_tool", [EXECUTE]);
const SPLIT = listed("the tool it names", EXECUTE_BY_RISK);

/** The meta tool that executes tools of this risk, and what a client's rules of approval see. */
export function executorOf(risk: Risk, { splitByRisk }: ToolSet): Executor {
  return splitByRisk ? `execute_${risk}` : "execute_tool";
}

/** Whether a meta tool of `splitByRisk` executes tools of this risk: its own, and any lesser. */
export function executes(executor: Executor, risk: Risk): boolean {
  const most = RISKS.find((one) => executor === `execute_${one}`);
  return most !== undefined && isWithin(risk, most);
}
