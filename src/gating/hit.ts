/** A found tool in few tokens: enough to call it, or to see that it is the wrong one. */

import type { GatingConfig } from "../config/gating.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { estimateTokens } from "../lib/tokens.ts";
import { unlessTooDeep } from "../registry/tool-tokens.ts";
import type { ListedTool } from "./listed-tools.ts";
import type { MetaTool } from "./meta-tools.ts";
import { executorOf, riskOf } from "./risk.ts";
import { signatureOf } from "./signature.ts";
import { collapsed, summary } from "./summary.ts";

/** A tool as `discover_tools` returns it. */
export interface CompactHit {
  /** The exposed name. */
  readonly id: string;
  /** Config key. */
  readonly server: string;
  /** The upstream's own name. */
  readonly name: string;
  readonly signature: string;
  /** One line. */
  readonly description: string;
  /** About what {@link fullDefinition} takes in a model's context. */
  readonly tokens: number;
  /** The hints about its risk that the tool gives itself. */
  readonly annotations?: JsonObject;
  /** The meta tool that executes it, where that depends on its risk. */
  readonly execute_with?: MetaTool;
}

/** By so many characters a server is recognised. */
const ENOUGH_OF_A_NAME = 12;

/** The hints that clients decide approval by (server/tools: annotations). */
const HINTS = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] as const;

/** The hit of a listed tool. */
export function compactHit(tool: ListedTool, config: GatingConfig): CompactHit {
  const { definition, route } = tool;
  const annotations = hintsOf(definition);
  return {
    id: route.exposed,
    server: route.server,
    name: route.name,
    signature: signatureOf(route.name, definition.inputSchema),
    description: summary(textOf(definition.description) || titleOf(definition)),
    tokens: definitionTokens(fullDefinition(tool, config)),
    ...(annotations === undefined ? {} : { annotations }),
    ...executor(annotations, config),
  };
}

/**
 * The hit as a line of text. It begins with the id, as that is what a call needs; the signature's
 * own name is in the data.
 */
export function hitLine(hit: CompactHit & { readonly reason?: string | undefined }): string {
  const { id, name, signature, description, server, annotations, tokens, reason } = hit;
  const about = [
    namesServer(id, server) ? undefined : collapsed(server),
    hit.execute_with ?? (saysRisk(annotations) ? riskOf(annotations) : undefined),
    tokens,
    reason,
  ];
  const call = collapsed(id) + signature.slice(collapsed(name).length);
  const what = description === "" ? "" : ` — ${description}`;
  return `${call}${what} [${about.filter((one) => one !== undefined).join(", ")}]`;
}

/** Whether an id shows its server; of a long name what is left of it in a shortened id will do. */
function namesServer(id: string, server: string): boolean {
  return id.startsWith(server.slice(0, ENOUGH_OF_A_NAME));
}

/** A tool as `provision_tools` returns it: all that is needed to call it. */
export function fullDefinition(
  { definition, route }: ListedTool,
  config: GatingConfig,
): JsonObject {
  const { description, inputSchema, outputSchema } = definition;
  const annotations = hintsOf(definition);
  const output = schemaOf(outputSchema);
  return {
    id: route.exposed,
    ...(textOf(description) === "" ? {} : { description }),
    inputSchema: schemaOf(inputSchema) ?? { type: "object" },
    ...(output === undefined ? {} : { outputSchema: output }),
    ...(annotations === undefined ? {} : { annotations }),
    ...executor(annotations, config),
  };
}

/**
 * A schema without `$schema`, which is for validators; to a model it is some fifteen tokens that say
 * nothing. `undefined` also for one too deep to be written.
 */
function schemaOf(schema: Json | undefined): JsonObject | undefined {
  if (!isObject(schema)) return undefined;
  const { $schema: _dialect, ...rest } = schema;
  // In as many brackets as it will ever be put into.
  const isWritable = unlessTooDeep(() => JSON.stringify([[[[[[[[rest]]]]]]]])) !== undefined;
  return isWritable ? rest : undefined;
}

/** Where there is one tool to execute all others, nobody needs to be told which. */
function executor(
  annotations: JsonObject | undefined,
  config: GatingConfig,
): { readonly execute_with?: MetaTool } {
  return config.splitByRisk ? { execute_with: executorOf(riskOf(annotations), config) } : {};
}

/** About how many tokens such a definition takes, as JSON. */
export function definitionTokens(definition: JsonObject): number {
  return estimateTokens(JSON.stringify(definition));
}

function hintsOf({ annotations }: JsonObject): JsonObject | undefined {
  if (!isObject(annotations)) return undefined;
  const given = HINTS.filter((hint) => typeof annotations[hint] === "boolean");
  if (given.length === 0) return undefined;
  return Object.fromEntries(given.map((hint) => [hint, annotations[hint]!]));
}

/** A tool without hints counts as destructive, but to say so of nearly every tool says nothing. */
function saysRisk(annotations: JsonObject | undefined): boolean {
  return annotations?.readOnlyHint !== undefined || annotations?.destructiveHint !== undefined;
}

function titleOf({ title, annotations }: JsonObject): string {
  return textOf(title) || (isObject(annotations) ? textOf(annotations.title) : "");
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}
