import { suggest } from "../lib/suggest.ts";
import { cut } from "../lib/text.ts";
import type { Finder, FoundTools } from "./finder.ts";
import type { Gate, Snapshot } from "./gate.ts";
import { collapsed, compactHit, hitLine } from "./hit.ts";
import {
  type MetaCall,
  type MetaResult,
  mistake,
  readCount,
  readString,
  readTexts,
} from "./meta-call.ts";
import {
  absentServers,
  knownServers,
  type ServerFacts,
  serverNamed,
  unknownServerText,
} from "./servers.ts";
import { listedTools } from "./view.ts";
import { fits, type SearchOptions } from "./words/index.ts";

/** What a search needs. */
export interface DiscoverDeps {
  readonly finder: Pick<Finder, "find" | "index">;
  readonly servers: readonly ServerFacts[];
}

const DEFAULT_LIMIT = 8;
const MOST_HITS = 50;

/** Scores are compared, not calculated with. */
const SCORE_DIGITS = 3;

const ADVICE = "Say it as verb + object + service, one thing a query, or see list_mcp_servers.";

/** What a search was for. */
interface Wanted extends SearchOptions {
  readonly query: string | undefined;
  readonly limit: number;
  readonly tags: readonly string[];
}

/**
 * Answers `discover_tools`. Without a query it lists the tools of the server, or with the tags.
 * @throws {ArgumentMistake}
 */
export async function discoverTools(call: MetaCall, deps: DiscoverDeps): Promise<MetaResult> {
  const { args, gate, registry } = call;
  const query = readString(args, "query");
  const given = readString(args, "server");
  const server = given === undefined ? undefined : serverNamed(deps.servers, given);
  if (given !== undefined && server === undefined) return unknownServerText(deps.servers, given);
  const wanted: Wanted = {
    query,
    server: server?.name,
    tags: readTexts(args, "tags"),
    limit: readCount(args, "limit", { least: 1, most: MOST_HITS }) ?? DEFAULT_LIMIT,
  };
  if (query === undefined && server === undefined && wanted.tags.length === 0) {
    return mistake(`"query" must say what the tool is to do. ${knownServers(deps.servers)}`);
  }
  const { tools, more }: FoundTools = query === undefined
    ? await inOrder(call, deps, wanted)
    : await deps.finder.find(gate, registry, query, wanted);
  const listed = listedTools(gate.full, call.client.era);
  const hits = tools.flatMap(({ document, score, reason }) => {
    const tool = listed.get(document.id);
    if (tool === undefined) return [];
    return [{
      ...compactHit(tool, gate.config),
      score: Number(score.toPrecision(SCORE_DIGITS)),
      ...(reason === undefined ? {} : { reason }),
    }];
  });
  return {
    text: hits.length === 0
      ? await nothingText(call, deps, wanted)
      : [...hits.map(hitLine), ...moreText(more, wanted)].join("\n"),
    structured: { tools: hits, more },
  };
}

/** All that fit, in the order of the list. */
async function inOrder({ gate, registry }: MetaCall, deps: DiscoverDeps, wanted: Wanted) {
  const { documents } = await deps.finder.index(gate.full, registry);
  const fitting = documents.filter((document) => fits(document, wanted));
  const tools = fitting.slice(0, wanted.limit).map((document) => ({ document, score: 0 }));
  return { tools, more: fitting.length - tools.length };
}

function moreText(more: number, { limit, server }: Wanted): readonly string[] {
  if (more <= 0) return [];
  const ways = [
    ...(server === undefined ? ["narrow with server"] : []),
    "say more in query",
    ...(limit < MOST_HITS ? ["raise limit"] : []),
  ];
  return [`${more} more: ${ways.join(" or ")}`];
}

async function nothingText(
  { gate, registry }: MetaCall,
  { servers, finder }: DiscoverDeps,
  { query, server, tags }: Wanted,
): Promise<string> {
  const sought = [
    ...(query === undefined ? [] : [`for ${JSON.stringify(echo(query))}`]),
    ...(server === undefined ? [] : [`on server ${JSON.stringify(server)}`]),
    ...(tags.length === 0 ? [] : [`with tags ${tags.slice(0, MOST_TAGS).map(echo).join(", ")}`]),
  ];
  const parts = [`No tool found ${sought.join(" ")}.`];
  if (tags.length > 0) {
    const { documents } = await finder.index(gate.full, registry);
    const known = [...new Set(documents.flatMap((document) => document.tags))];
    parts.push(
      known.length === 0
        ? "No tool here has tags."
        : `Tags here: ${known.slice(0, MOST_TAGS).join(", ")}.`,
    );
  }
  if (query !== undefined) parts.push(ADVICE);
  const absent = absentServers(
    servers.filter(({ name, state }) =>
      server === undefined ? state !== "disabled" : name === server
    ),
  );
  if (absent !== "") parts.push(absent);
  return parts.join(" ");
}

const MOST_TAGS = 30;

/** Enough of what a model wrote to recognise it by. */
const LONGEST_ECHO = 60;

function echo(text: string): string {
  return cut(collapsed(text.slice(0, 2 * LONGEST_ECHO)), LONGEST_ECHO);
}

const MOST = 3;

/** More than a slip of the fingers is for words to find: letters of thousands of names take long. */
const MOST_EDITS = 3;

/** Present tools that an unknown id may have meant, best first: misspelt, renamed, or gone since. */
export async function nearestTools(
  { full }: Gate,
  registry: Snapshot,
  finder: Pick<Finder, "index">,
  id: string,
): Promise<readonly string[]> {
  const spelt = suggest(id, full.names("tool"), MOST_EDITS);
  const alike = (await finder.index(full, registry)).search(id, { limit: MOST }).hits;
  const ids = alike.map(({ document }) => document.id);
  return [...new Set([...(spelt === undefined ? [] : [spelt]), ...ids])].slice(0, MOST);
}

/** Ids that nobody has may be anything; only so much of one is repeated. Characters. */
const LONGEST_ID = 100;

/** Enough of an unknown id to recognise it by. */
export function shownId(id: string): string {
  return cut(id, LONGEST_ID);
}
