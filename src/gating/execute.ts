/** `execute_tool` and its like: the call of a meta tool becomes that of the tool it names. */

import { editJson, rawAt } from "../lib/json-edit.ts";
import { isObject, type JsonObject, parsedText, unlessTooDeep } from "../lib/json.ts";
import { argumentEdits, type ArgumentRules } from "../protocol/arguments.ts";
import type { ReplaceableExchange } from "../protocol/exchange.ts";
import type { RequestMessage } from "../protocol/message.ts";
import { type Risk, riskOf } from "../registry/filter.ts";
import { memoised } from "../registry/source.ts";
import { type ArgumentCheck, argumentCheck, LONGEST_SCHEMA } from "../schema/arguments.ts";
import type { Mismatch } from "../schema/run.ts";
import { escapeStep } from "../schema/walk.ts";
import { shownId } from "./discover.ts";
import type { Gate } from "./gate.ts";
import {
  ArgumentMistake,
  type MetaResult,
  mistake,
  readMetaArguments,
  readString,
} from "./meta-call.ts";
import { executes, type Executor, executorOf, isMetaTool } from "./meta-tools.ts";
import { findTool, type ListedTool, listedTools, toolsOfSameServer } from "./view.ts";

/** What {@link prepareExecution} needs of the gateway. */
export interface ExecutionDeps {
  /** Whether the client has provisioned the tool with this exposed name. */
  isProvisioned(id: string): boolean;
  /**
   * Resolves when a tool is called `id`, or no server is starting that could still bring it; with the
   * gate as it is then.
   */
  whenNamed(id: string): Promise<Gate>;
  /** Present tools that an unknown id may have meant, best first. */
  nearest(id: string): Promise<readonly string[]>;
  /** Why there is no such tool, where it is there and held back. */
  heldBack?(id: string): string | undefined;
}

/** Most tools of the same server that an unknown id is answered with. */
const MOST_SIBLINGS = 5;

/**
 * Makes the exchange the call of the tool that it names: then `undefined`, and it is to be routed as any
 * `tools/call`. Otherwise what to answer: everything that is wrong is the model's to mend. Waits only
 * where nobody has the tool and a server is starting.
 */
export function prepareExecution(
  exchange: ReplaceableExchange,
  name: Executor,
  gate: Gate,
  deps: ExecutionDeps,
): MetaResult | undefined | Promise<MetaResult | undefined> {
  try {
    const { era } = exchange.client;
    const outer = readMetaArguments(exchange.request.params?.arguments);
    const id = readString(outer, "tool_id");
    if (id === undefined) {
      return mistake('"tool_id" is missing: give the id of a tool, as discover_tools returns it.');
    }
    const execute = (tool: ListedTool, before: Gate) =>
      executeFound(exchange, name, before, deps, outer, tool);
    const found = findTool(gate.full, id, era);
    if (found !== undefined) return execute(found, gate);
    if (isMetaTool(id)) return mistake(`${id} is called by its own name, not by ${name}.`);
    return deps.whenNamed(id).then((later) => {
      const tool = findTool(later.full, id, era);
      return tool === undefined ? unknownTool(exchange, id, later, deps) : execute(tool, later);
    });
  } catch (error) {
    if (error instanceof ArgumentMistake) return mistake(error.message);
    throw error;
  }
}

/** @param outer the arguments of the meta tool */
function executeFound(
  exchange: ReplaceableExchange,
  name: Executor,
  gate: Gate,
  deps: ExecutionDeps,
  outer: JsonObject,
  tool: ListedTool,
): MetaResult | undefined {
  const { exposed, server, name: own } = tool.route;
  const { splitByRisk, requireProvisioning } = gate.config;
  const risk = memoised(risks, tool, () => riskOf(tool.definition.annotations));
  // Else a client that approves one of these tools for good would have approved more than it meant.
  // Those that do less go on doing it without splitByRisk: a client may never list again.
  if (name === "execute_tool" ? splitByRisk : !executes(name, risk)) {
    const executor = executorOf(risk, { splitByRisk: true });
    return mistake(`Call ${exposed} with ${executor}. Its risk is ${risk}.`, {
      tool_id: exposed,
      execute_with: executor,
    });
  }
  if (requireProvisioning && !deps.isProvisioned(exposed)) {
    const handle = exchange.client.session === undefined
      ? ` Then give the "handle" that it returns to ${name}, too.`
      : "";
    return mistake(
      `${exposed} must be provisioned first: call provision_tools with tool_ids ` +
        `${JSON.stringify([exposed])}.${handle}`,
      { tool_id: exposed },
    );
  }
  const given = innerArguments(exchange.request, outer);
  if (given === undefined) {
    const mismatch = { path: "", problem: "is no object", expected: "object" };
    return wrongArguments(tool, [mismatch]);
  }
  const beside = argumentsBeside(outer, given, tool);
  if (beside.length > 0) return wrongArguments(tool, beside);
  const mismatches = mismatchesOf(tool, given, gate.full.argumentRules(server, own));
  if (mismatches.length > 0) return wrongArguments(tool, mismatches);
  exchange.request = callOf(exchange.request, exposed, given);
  return undefined;
}

const NO_ARGUMENTS: GivenArguments = { text: "{}", value: {} };

/** The arguments for the tool itself; models write them as text, too. `undefined` for no object. */
function innerArguments(
  { raw, params }: RequestMessage,
  { arguments: given }: JsonObject,
): GivenArguments | undefined {
  if (given === undefined || given === null || given === "") return NO_ARGUMENTS;
  const value = typeof given === "string" ? parsedText(given) : given;
  if (!isObject(value)) return undefined;
  if (typeof given === "string") return { text: given, value };
  const path = ["params", "arguments"];
  const text = typeof params?.arguments === "string"
    ? rawAt(params.arguments, ["arguments"])
    : rawAt(raw, [...path, "arguments"]);
  return { text: text!, value };
}

const OUTER: ReadonlySet<string> = new Set(["tool_id", "arguments", "handle"]);

/**
 * Arguments of the tool that stand beside "arguments", where models put them at times. Without them
 * the call would be another one, "delete all" say; what the tool does not know is the client's own.
 */
function argumentsBeside(
  outer: JsonObject,
  { value }: GivenArguments,
  tool: ListedTool,
): readonly Mismatch[] {
  const beside = Object.keys(outer).filter((key) => !OUTER.has(key) && !Object.hasOwn(value, key));
  if (beside.length === 0) return [];
  const { inputSchema } = tool.definition;
  const properties = isObject(inputSchema) && isObject(inputSchema.properties)
    ? inputSchema.properties
    : {};
  return beside.filter((key) => Object.hasOwn(properties, key)).slice(0, MOST_BESIDE)
    .map((key) => ({
      path: "",
      problem: `${JSON.stringify(key)} is given beside them`,
      expected: "it among them",
    }));
}

/** The first few say it all. */
const MOST_BESIDE = 10;

/** The request for the tool itself: everything else in it, `_meta` and `task` say, stays as it is. */
function callOf(request: RequestMessage, name: string, given: GivenArguments): RequestMessage {
  const raw = editJson(request.raw, [
    { path: ["params", "name"], value: JSON.stringify(name) },
    { path: ["params", "arguments"], value: given.text },
  ]);
  return { ...request, raw, params: { ...request.params, name, arguments: given.value } };
}

function wrongArguments(
  { definition: { inputSchema }, route: { exposed: id } }: ListedTool,
  mismatches: readonly Mismatch[],
): MetaResult {
  const lines = mismatches.map(({ path, problem, expected }) => {
    const where = path === "" ? "arguments" : path;
    return `- ${where}: ${problem}${expected === undefined ? "" : `; expected ${expected}`}`;
  });
  const text = unlessTooDeep(() => JSON.stringify(inputSchema)) ?? "";
  const isShown = inputSchema !== undefined && text !== "" && text.length <= LONGEST_SCHEMA;
  return mistake(
    [
      `The arguments do not match the schema of ${id}:`,
      ...lines,
      ...(isShown ? [`Schema of "arguments": ${text}`] : []),
    ].join("\n"),
    {
      tool_id: id,
      errors: mismatches.map((mismatch) => ({ ...mismatch })),
      ...(isShown ? { inputSchema } : {}),
    },
  );
}

async function unknownTool(
  { client: { era } }: ReplaceableExchange,
  id: string,
  { full }: Gate,
  deps: ExecutionDeps,
): Promise<MetaResult> {
  const listed = listedTools(full, era);
  const tool_id = shownId(id);
  const held = deps.heldBack?.(id);
  if (held !== undefined) return mistake(held, { tool_id });
  const several = full.ambiguous("tool", id).map(({ exposed }) => exposed)
    .filter((exposed) => listed.has(exposed));
  if (several.length > 0) {
    return mistake(`Several servers have a tool "${id}": ${several.join(", ")}.`, {
      tool_id,
      nearest: several,
    });
  }
  const nearest = (await deps.nearest(id)).filter((name) => listed.has(name));
  const siblings = toolsOfSameServer(listed, id, MOST_SIBLINGS)
    .filter((name) => !nearest.includes(name));
  const texts = [
    `There is no tool ${JSON.stringify(tool_id)}; it may have been removed.`,
    ...(nearest.length === 0 ? [] : [`Nearest: ${nearest.join(", ")}.`]),
    ...(siblings.length === 0 ? [] : [`Of the same server: ${siblings.join(", ")}.`]),
    "Find others with discover_tools.",
  ];
  return mistake(texts.join(" "), { tool_id, nearest: [...nearest, ...siblings] });
}

/** The arguments of a call: as they stand in its text, and as they are read. */
interface GivenArguments {
  readonly text: string;
  readonly value: JsonObject;
}

// Read once as long as the tool is listed as it is.
const risks = new WeakMap<ListedTool, Risk>();
const checks = new WeakMap<
  ListedTool,
  { readonly rules: ArgumentRules | undefined; readonly holds: ArgumentCheck }
>();

/**
 * What is wrong with some arguments. They are judged as the server will get them, with what the
 * configuration puts in and takes out; of that nothing is said, as the client has no part in it,
 * and may not see it.
 */
function mismatchesOf(
  tool: ListedTool,
  { text, value }: GivenArguments,
  rules: ArgumentRules | undefined,
): readonly Mismatch[] {
  let check = checks.get(tool);
  if (check === undefined || check.rules !== rules) {
    check = { rules, holds: checkWith(tool, rules) };
    checks.set(tool, check);
  }
  if (rules === undefined) return check.holds(value);
  const unseen = unseenArguments(value, rules);
  return check.holds(applied(text, rules) ?? value)
    .filter(({ path }) => !unseen.some((at) => `${path}/`.startsWith(at)));
}

function checkWith(tool: ListedTool, rules: ArgumentRules = NO_RULES): ArgumentCheck {
  if (tool.raw.length > LONGEST_SCHEMA) return unchecked;
  const { defaults, fixed, hidden } = rules;
  const more = new Set([...defaults.keys(), ...fixed.keys(), ...hidden]);
  return argumentCheck(tool.definition.inputSchema, more) ?? unchecked;
}

const NO_RULES: ArgumentRules = { defaults: new Map(), fixed: new Map(), hidden: new Set() };

const unchecked: ArgumentCheck = (): readonly Mismatch[] => [];

/** Where the arguments are that a client does not give, and yet the server gets. */
function unseenArguments(
  given: JsonObject,
  { defaults, fixed, hidden }: ArgumentRules,
): readonly string[] {
  const added = [...defaults.keys()].filter((name) => !Object.hasOwn(given, name));
  return [...fixed.keys(), ...hidden, ...added].map((name) => `/${escapeStep(name)}/`);
}

function applied(text: string, rules: ArgumentRules): JsonObject | undefined {
  const value: unknown = JSON.parse(editJson(text, argumentEdits(text, rules)));
  return isObject(value) ? value : undefined;
}
