import { isObject, type JsonObject } from "../lib/json.ts";
import { readString } from "./meta-arguments.ts";
import type { MetaResult } from "./meta-result.ts";
import { knownServers, type ServerFacts, serverNamed, unknownServerText } from "./server-facts.ts";
import { summary } from "./summary.ts";

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
  const counts = [
    plural(tools, "tool"),
    ...(prompts === 0 ? [] : [plural(prompts, "prompt")]),
  ];
  return `${name}: ${state}${stale ? " (as of its last run)" : ""}, ${counts.join(", ")}`;
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
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
