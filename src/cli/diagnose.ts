/** What may go wrong between the servers as they are and the clients people use. */

import type { CacheRule } from "../config/transform.ts";
import { parseGlob } from "../lib/glob.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { noticeText } from "../registry/notices.ts";
import { toolTokens } from "../registry/tool-tokens.ts";
import type { Registry } from "../registry/types.ts";
import { conflictFindings, crowdFindings, twinFindings } from "./diagnose-lists.ts";
import { toolFindings } from "./diagnose-tool.ts";

/** How much a finding matters: an error keeps something from working for some client. */
export type Level = "error" | "warning" | "note";

/** What kinds of things are found; part of the public contract, explained in `docs/check.md`. */
export const RULES = [
  "server-failed",
  "list",
  "duplicate",
  "schema-root",
  "schema-invalid",
  "schema-reference",
  "schema-remote",
  "schema-dialect",
  "schema-pattern",
  "schema-deep",
  "schema-combined",
  "schema-property",
  "schema-items",
  "long-description",
  "no-description",
  "long-instructions",
  "name-long",
  "name-cut",
  "name-spelling",
  "name-conflict",
  "uri-conflict",
  "same-tool",
  "many-tools",
  "shape",
  "cached-writing",
] as const;

/** One of {@link RULES}. */
export type DiagnoseRule = typeof RULES[number];

/** One thing `check --connect` has found; part of the public contract. */
export interface Finding {
  readonly level: Level;
  /** What kind of thing it is, for scripts. */
  readonly rule: DiagnoseRule;
  /** Config key; null where it is about all of them. */
  readonly server: string | null;
  /** The exposed name of the tool it is about, or what else is listed. */
  readonly subject: string | null;
  /** What was found. */
  readonly message: string;
  /** What to do, for whoever runs the gateway. */
  readonly remedy: string | null;
}

/** A tool as the aggregate lists it for legacy clients: the narrower of the two eras. */
export interface CheckedTool {
  readonly server: string;
  /** The upstream's own name. */
  readonly own: string;
  readonly exposed: string;
  /** What clients get. */
  readonly tool: JsonObject;
  /** About what it takes of a model's context. */
  readonly tokens: number;
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
    return [{ server, own, exposed, tool, tokens: toolTokens(tool) }];
  });
}

const ORDER: readonly Level[] = ["error", "warning", "note"];

/** All findings, what matters most first, else in the order of servers and lists. */
export function diagnose(
  registry: Registry,
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
      level: "warning",
      rule: "shape",
      server: notice.path[0] === "mcpServers" ? String(notice.path[1]) : null,
      subject: null,
      message: noticeText(notice),
      remedy: null,
    })),
    ...crowdFindings(tools, registry),
  ];
  return ORDER.flatMap((level) => findings.filter((finding) => finding.level === level));
}

function serverFindings({ name, error, problems }: StartedServer): Finding[] {
  const about = { server: name, subject: null };
  const failed: Finding[] = error === null ? [] : [{
    ...about,
    level: "error",
    rule: "server-failed",
    message: error,
    remedy: `start it by hand to see what it says, or set "disabled": true`,
  }];
  return [
    ...failed,
    ...problems.map((message): Finding => ({
      ...about,
      level: "warning",
      rule: "list",
      message,
      remedy: null,
    })),
  ];
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
    return [{
      level: "warning",
      rule: "cached-writing",
      server,
      subject: exposed,
      message: "does not say that it only reads, and its results are cached: a call that is " +
        "answered from the cache does nothing",
      remedy: `leave it out of mcpServers.${server}.cache ("${own}": {"ttl": 0} before ` +
        `"${rule.tools}"), or say "readOnlyHint": true in an override`,
    }];
  });
}
