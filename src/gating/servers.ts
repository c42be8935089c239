import type { Config } from "../config/types.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { suggest } from "../lib/suggest.ts";
import { plural } from "../lib/text.ts";
import { EMPTY_INVENTORY } from "../protocol/lists.ts";
import type { Phase } from "../upstream/state.ts";
import { isBehind } from "./endpoint.ts";
import { summary } from "./hit.ts";
import { type MetaCall, type MetaResult, mistake, readString } from "./meta-call.ts";
import { listedTools } from "./view.ts";

/**
 * Answers `list_mcp_servers`: all servers of the endpoint, or one in full.
 * @throws {ArgumentMistake}
 */
export function listMcpServers(args: JsonObject, servers: readonly ServerFacts[]): MetaResult {
  const given = readString(args, "server");
  if (given === undefined) return listServers(servers);
  const found = serverNamed(servers, given);
  return found === undefined ? unknownServerText(servers, given) : describeServer(found);
}

/** All servers in a line each. */
function listServers(servers: readonly ServerFacts[]): MetaResult {
  const lines = servers.map((facts) => {
    const about = lineOf(facts);
    return headOf(facts) + (about === "" ? "" : ` — ${about}`);
  });
  return {
    text: lines.length === 0 ? knownServers(servers) : lines.join("\n"),
    structured: { servers: servers.map(dataOf) },
  };
}

/** One server with all it says about itself. */
function describeServer(facts: ServerFacts): MetaResult {
  const { title, description } = infoOf(facts);
  const says = [title, description, facts.instructions].flatMap((part) =>
    typeof part === "string" && part.trim() !== "" ? [part.trim()] : []
  );
  return {
    text: [headOf(facts), ...says].join("\n\n"),
    structured: {
      servers: [{
        ...dataOf(facts),
        ...(typeof title === "string" ? { title } : {}),
        ...(facts.instructions === undefined ? {} : { instructions: facts.instructions }),
      }],
    },
  };
}

function headOf({ name, state, stale, tools, prompts }: ServerFacts): string {
  const counts = [plural(tools, "tool"), ...(prompts === 0 ? [] : [plural(prompts, "prompt")])];
  return `${name}: ${state}${stale ? " (as of its last run)" : ""}, ${counts.join(", ")}`;
}

function dataOf(facts: ServerFacts): JsonObject {
  const { name, state, stale, tools, prompts } = facts;
  const line = lineOf(facts);
  return {
    name,
    state,
    ...(stale ? { stale } : {}),
    tools,
    prompts,
    ...(line === "" ? {} : { description: line }),
  };
}

/** What it is for, in a line. */
function lineOf(facts: ServerFacts): string {
  const { title, description } = infoOf(facts);
  const said = [description, facts.instructions, title].find((text) =>
    typeof text === "string" && text.trim() !== ""
  );
  return typeof said === "string" ? summary(said) : "";
}

function infoOf({ serverInfo }: ServerFacts): JsonObject {
  const info: unknown = serverInfo === undefined ? undefined : JSON.parse(serverInfo);
  return isObject(info) ? info : {};
}

/** One server. */
export type ServerFacts = ReturnType<typeof serverFacts>[number];

/**
 * The servers behind an endpoint, in the order of the configuration.
 * @param phase the state of an enabled server
 */
export function serverFacts(
  { registry, gate: { full: view }, endpoint }: MetaCall,
  config: Config,
  phase: (server: string) => Phase | undefined,
) {
  const tools = Map.groupBy(listedTools(view).values(), ({ route }) => route.server);
  const prompts = Map.groupBy(view.names("prompt"), (name) => view.prompt(name)?.server);
  const entries = new Map(registry.entries.map((entry) => [entry.name, entry]));
  const chosen = config.settings.profiles.find(({ name }) => name === endpoint.profile);
  const facts = [...config.servers.values()]
    .filter((server) => isBehind(server, endpoint, config.settings))
    .map(({ name, shape }) => {
      const entry = entries.get(name);
      return {
        name,
        alias: shape?.alias,
        state: phase(name) ?? "disabled" as const,
        // What it offered last is still shown, while it is away.
        stale: entry?.stale ?? false,
        // How many of each the view lists.
        tools: tools.get(name)?.length ?? 0,
        prompts: prompts.get(name)?.length ?? 0,
        // JSON text; `undefined` while nothing is known of it.
        serverInfo: entry?.inventory.serverInfo,
        instructions: entry?.inventory.instructions,
      };
    });
  if (chosen === undefined) return facts;
  // One of which nothing is left is not this client's business, nor is one that may turn out so: by
  // tags any server might be chosen, and filters might leave nothing of it.
  const left = new Set(
    [...view.capabilities().declared.values()].flatMap((all) => all.map(({ server }) => server)),
  );
  const { servers, tags, tools: only, prompts: shown, resources, risk } = chosen;
  const isFiltered = (only ?? shown ?? resources ?? risk) !== undefined;
  const mayWait = tags === undefined && (servers !== undefined || !isFiltered);
  return facts.filter(({ name, tools, prompts }) =>
    tools + prompts > 0 || left.has(name) ||
    (mayWait && (entries.get(name)?.inventory ?? EMPTY_INVENTORY) === EMPTY_INVENTORY)
  );
}

/** The server that a model means: by its name or alias, upper and lower case equal. */
export function serverNamed(
  servers: readonly ServerFacts[],
  given: string,
): ServerFacts | undefined {
  const folded = given.toLowerCase();
  return servers.find(({ name }) => name === given) ??
    servers.find(({ name, alias }) =>
      name.toLowerCase() === folded || alias?.toLowerCase() === folded
    );
}

/** What to say of a server that is not there. */
export function unknownServerText(servers: readonly ServerFacts[], given: string): MetaResult {
  const near = suggest(given, servers.map(({ name }) => name));
  const hint = near === undefined ? "." : `; did you mean ${JSON.stringify(near)}?`;
  const named = JSON.stringify(given.slice(0, LONGEST_ECHO));
  return mistake(`No server ${named} here${hint} ${knownServers(servers)}`);
}

/** Enough of what a model wrote to recognise it by. */
const LONGEST_ECHO = 60;

/** Names listed for orientation; with more, list_mcp_servers is the place. */
const MOST_NAMED = 30;

/** The names of the servers, in a sentence. */
export function knownServers(servers: readonly ServerFacts[]): string {
  if (servers.length === 0) return "There are no servers here.";
  const more = servers.length - MOST_NAMED;
  return `Servers: ${servers.slice(0, MOST_NAMED).map(({ name }) => name).join(", ")}` +
    (more > 0 ? ` and ${more} more.` : ".");
}

/** Those of the servers whose tools cannot be told at the moment, in a sentence; empty for none. */
export function absentServers(servers: readonly ServerFacts[]): string {
  const absent = servers.filter(({ state, tools }) => tools === 0 && state !== "ready");
  if (absent.length === 0) return "";
  const names = absent.slice(0, MOST_NAMED).map(({ name, state }) => `${name} (${state})`);
  return `Not there at the moment: ${names.join(", ")}.`;
}
