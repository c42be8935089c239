/** What is found behind a configuration: about its servers, their tools, and lists as a whole. */

import type { Io } from "../app/io.ts";
import type { CacheRule, Config } from "../config/types.ts";
import { serverOffers } from "../gateway/offers.ts";
import { registryCost, type Snapshot } from "../gating/gate.ts";
import { parseGlob } from "../lib/glob.ts";
import { canonicalJson, isObject, unlessTooDeep } from "../lib/json.ts";
import { ESTIMATE } from "../lib/tokens.ts";
import { conflictText, noticeText } from "../registry/build.ts";
import type { Conflict, Registry } from "../registry/types.ts";
import { untilSignal } from "./call.ts";
import { counterOf, serverTokens, ungatedHint } from "./costs.ts";
import {
  type CheckedTool,
  CUT_DESCRIPTION,
  type DiagnoseRule,
  type Finding,
  found,
  type Level,
  listed,
  toolFindings,
} from "./diagnose-tool.ts";
import { LocalGateway } from "./local.ts";
import { NO_COUNTS, withoutName } from "./announce.ts";

/**
 * What `check --connect` adds: the servers are started, asked what they offer, and stopped. Where a
 * signal comes first, its exit code is all there is.
 */
export async function connectReport(config: Config, io: Io): Promise<ConnectionReport | number> {
  const local = new LocalGateway(eager(config), io);
  return await untilSignal(local, io, async () => {
    await local.settled();
    return reportOf(local);
  });
}

/** Every server is started, also one that would wait for its first use. */
function eager(config: Config): Config {
  const servers = [...config.servers].map(([name, server]) => {
    const { idleTimeout: _, ...rest } = server;
    return [name, { ...rest, lazy: false }] as const;
  });
  return { ...config, servers: new Map(servers) };
}

/** What was found behind the configuration; part of the public contract. It contains no secret. */
export type ConnectionReport = ReturnType<typeof reportOf>;

function reportOf({ gateway }: LocalGateway) {
  const { snapshots: { registry }, redact } = gateway;
  const tools = checkedTools(registry);
  const offers = [...serverOffers(gateway, counterOf(ESTIMATE))];
  const servers = offers.map((offer) => {
    const { name, state } = offer;
    const error = offer.error === null ? null : withoutName(offer.error, name);
    // What clients may see of its lists.
    const counts = registry.servers.get(name)?.counts ?? NO_COUNTS;
    return { name, state, error, counts, tokens: serverTokens(offer) };
  });
  const started = servers.flatMap(({ name, error }) => {
    const member = gateway.members.get(name);
    if (member === undefined) return [];
    const { upstream, config: { transform } } = member;
    return [{ name, error, problems: upstream.status().problems, cache: transform?.cache }];
  });
  const findings = diagnose(registry, tools, started).map((finding): Finding => ({
    ...finding,
    subject: finding.subject === null ? null : redact(finding.subject),
    message: redact(finding.message),
    remedy: finding.remedy === null ? null : redact(finding.remedy),
  }));
  const tokens = servers.reduce((sum, server) => sum + server.tokens, 0);
  return { servers, tools: tools.length, tokens, findings };
}

/** A server that was started, as far as findings need it. */
export interface StartedServer {
  readonly name: string;
  /** Why it is not ready; null when it is. */
  readonly error: string | null;
  /** What was wrong with its lists when they were read. */
  readonly problems: readonly string[];
  /** Which of its tools' results are kept. */
  readonly cache?: readonly CacheRule[] | undefined;
}

/** The tools that clients see, in the order of the list. */
export function checkedTools({ aggregate }: Registry): readonly CheckedTool[] {
  return aggregate.list("tools", "legacy").items.flatMap((text) => {
    const tool: unknown = JSON.parse(text);
    if (!isObject(tool) || typeof tool.name !== "string") return [];
    const route = aggregate.tool(tool.name);
    if (route === undefined) return [];
    const { server, name: own, exposed } = route;
    return [{ server, own, exposed, tool }];
  });
}

const ORDER: readonly Level[] = ["error", "warning", "note"];

/** All findings, what matters most first, else in the order of servers and lists. */
export function diagnose(
  registry: Snapshot,
  tools: readonly CheckedTool[],
  servers: readonly StartedServer[],
): readonly Finding[] {
  const findings = [
    ...servers.flatMap(serverFindings),
    ...servers.flatMap((server) => cacheFindings(server, tools)),
    ...tools.flatMap((tool) => toolFindings(tool, registry)),
    ...conflictFindings(registry.conflicts),
    ...twinFindings(tools),
    ...registry.notices.map((notice): Finding => ({
      ...found("warning", "shape", noticeText(notice)),
      server: notice.path[0] === "mcpServers" ? String(notice.path[1]) : null,
      subject: null,
    })),
    ...crowdFindings(tools, registry),
  ];
  return ORDER.flatMap((level) => findings.filter((finding) => finding.level === level));
}

function serverFindings({ name: server, error, problems }: StartedServer): Finding[] {
  const remedy = `start it by hand to see what it says, or set "disabled": true`;
  const failed = error === null ? [] : [found("error", "server-failed", error, remedy)];
  const lists = problems.map((message) => found("warning", "list", message));
  return [...failed, ...lists].map((one) => ({ server, subject: null, ...one }));
}

/** A call that is answered from the cache does nothing: fine for tools that only read. */
function cacheFindings(
  { name: server, cache = [] }: StartedServer,
  tools: readonly CheckedTool[],
): Finding[] {
  return tools.filter((tool) => tool.server === server).flatMap(({ own, exposed, tool }) => {
    const rule = cache.find(({ tools }) => parseGlob(tools).matches(own));
    const readsOnly = isObject(tool.annotations) && tool.annotations.readOnlyHint === true;
    if (rule === undefined || rule.ttl === 0 || readsOnly) return [];
    const message = "does not say that it only reads, and its results are cached: a call that is " +
      "answered from the cache does nothing";
    const remedy = `leave it out of mcpServers.${server}.cache ("${own}": {"ttl": 0} before ` +
      `"${rule.tools}"), or say "readOnlyHint": true in an override`;
    return [{ server, subject: exposed, ...found("warning", "cached-writing", message, remedy) }];
  });
}

const CONFLICTS: Readonly<
  Record<Conflict["type"], readonly [Level, DiagnoseRule, remedy: string | null]>
> = {
  duplicate: ["warning", "duplicate", "ask the authors of the server to mend it"],
  suffixed: ["warning", "name-conflict", 'give one of them another name with "rename"'],
  prefixed: ["note", "name-conflict", null],
  shared: ["note", "uri-conflict", null],
};

/** What the registry had to decide. */
function conflictFindings(conflicts: readonly Conflict[]): Finding[] {
  return conflicts.map((conflict) => {
    const [level, rule, remedy] = CONFLICTS[conflict.type];
    const servers = new Set(conflict.parties.map(({ server }) => server));
    const [server = null] = servers.size === 1 ? servers : [];
    const about = { server, subject: conflict.wanted };
    return { ...about, ...found(level, rule, conflictText(conflict), remedy) };
  });
}

/** Tools that several servers offer with the same description and schema, once per such servers. */
function twinFindings(tools: readonly CheckedTool[]): Finding[] {
  const alike = Map.groupBy(
    tools.filter(({ tool: { description } }) => typeof description === "string"),
    ({ exposed, tool: { description, inputSchema } }) =>
      unlessTooDeep(() => canonicalJson([description, inputSchema])) ?? exposed,
  );
  const shared = [...alike.values()].flatMap((group) => {
    const first = [...new Map(group.toReversed().map((tool) => [tool.server, tool])).values()];
    return first.length < 2 ? [] : [first.toReversed()];
  });
  const byServers = Map.groupBy(shared, (group) => canonicalJson(group.map((one) => one.server)));
  return [...byServers.values()].map((groups) => {
    const [first] = groups;
    const [owner, ...others] = first!;
    const names = groups.map((all) =>
      all.map(({ exposed }) => JSON.stringify(exposed)).join(" = ")
    );
    const theirs = others.map(({ server }) => `server ${JSON.stringify(server)}`).join(", ");
    const message = `offers what ${theirs} offers, too: ${listed(names)}`;
    const remedy = 'where that is not meant, leave one of them out with "exclude" or "disabled"';
    const about = { server: owner!.server, subject: owner!.exposed };
    return { ...about, ...found("note", "same-tool", message, remedy) };
  });
}

/** From how many tools on which clients refuse some, most first. */
const CROWDS: readonly (readonly [more: number, what: string])[] = [
  [128, "VS Code sends a model at most 128, Windsurf takes 100, Cursor shows a model about 40"],
  [100, "Windsurf takes 100, Cursor shows a model about 40"],
  [40, "Cursor shows a model about 40"],
];

/** Whether all of it together is more than clients take. */
function crowdFindings({ length }: readonly CheckedTool[], registry: Snapshot): Finding[] {
  const { aggregate, gates: { aggregate: gate } } = registry;
  const { instructions } = gate.isClosed ? gate.view : aggregate;
  const all = [];
  const crowd = CROWDS.find(([most]) => length > most);
  if (crowd !== undefined) {
    const message = gate.isClosed
      ? `${length} tools, gated at /mcp; for clients of /ungated/mcp: ${crowd[1]}`
      : `${length} tools: ${crowd[1]}`;
    const remedy = gate.isClosed ? null : 'gate them with "gating": "on", make "profiles" of ' +
      'fewer tools, or leave tools out with "exclude"';
    all.push(found("note", "many-tools", message, remedy));
  }
  const hint = ungatedHint(registryCost(registry, counterOf(ESTIMATE)).aggregate);
  if (hint !== undefined) all.push(found("note", "ungated", hint));
  if (instructions !== undefined && instructions.length > CUT_DESCRIPTION) {
    const message = `instructions of ${instructions.length} characters in all: Claude Code cuts ` +
      `them at ${CUT_DESCRIPTION}`;
    all.push(found("note", "long-instructions", message));
  }
  return all.map((one) => ({ server: null, subject: null, ...one }));
}
