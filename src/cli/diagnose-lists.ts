/** What is found about lists as a whole: names wanted twice, the same thing twice, too much. */

import { canonicalJson } from "../lib/canonical.ts";
import { conflictText } from "../registry/conflict-text.ts";
import { unlessTooDeep } from "../registry/tool-tokens.ts";
import type { Conflict, Registry } from "../registry/types.ts";
import { CUT_DESCRIPTION } from "./diagnose-tool.ts";
import type { CheckedTool, DiagnoseRule, Finding, Level } from "./diagnose.ts";

const CONFLICTS: Readonly<
  Record<Conflict["type"], readonly [Level, DiagnoseRule, remedy: string | null]>
> = {
  duplicate: ["warning", "duplicate", "ask the authors of the server to mend it"],
  suffixed: ["warning", "name-conflict", 'give one of them another name with "rename"'],
  prefixed: ["note", "name-conflict", null],
  shared: ["note", "uri-conflict", null],
};

/** What the registry had to decide. */
export function conflictFindings(conflicts: readonly Conflict[]): Finding[] {
  return conflicts.map((conflict) => {
    const [level, rule, remedy] = CONFLICTS[conflict.type];
    const servers = new Set(conflict.parties.map(({ server }) => server));
    const [server = null] = servers.size === 1 ? servers : [];
    const message = conflictText(conflict);
    return { level, rule, server, subject: conflict.wanted, message, remedy };
  });
}

/** How many of the tools that two servers have in common are named. */
const TOLD_TWINS = 3;

/** Tools that several servers offer with the same description and schema, once per such servers. */
export function twinFindings(tools: readonly CheckedTool[]): Finding[] {
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
    const names = groups.slice(0, TOLD_TWINS)
      .map((group) => group.map(({ exposed }) => JSON.stringify(exposed)).join(" = "));
    const more = groups.length - names.length;
    const message = `offers what ${
      others.map(({ server }) => `server ${JSON.stringify(server)}`).join(", ")
    } offers, too: ${names.join(", ")}${more === 0 ? "" : ` and ${more} more`}`;
    const remedy = 'where that is not meant, leave one of them out with "exclude" or "disabled"';
    const server = owner!.server;
    return { level: "note", rule: "same-tool", server, subject: owner!.exposed, message, remedy };
  });
}

/** From how many tools on which clients refuse some, most first. */
const CROWDS: readonly (readonly [more: number, what: string])[] = [
  [128, "VS Code sends a model at most 128, Windsurf takes 100, Cursor shows a model about 40"],
  [100, "Windsurf takes 100, Cursor shows a model about 40"],
  [40, "Cursor shows a model about 40"],
];

/** Whether all of it together is more than clients take. */
export function crowdFindings(
  { length }: readonly CheckedTool[],
  { aggregate, gates: { aggregate: gate } }: Pick<Registry, "aggregate" | "gates">,
): Finding[] {
  const { instructions } = gate.isClosed ? gate.view : aggregate;
  const found: Finding[] = [];
  const about = { level: "note", server: null, subject: null } as const;
  const crowd = CROWDS.find(([most]) => length > most);
  if (crowd !== undefined) {
    const message = gate.isClosed
      ? `${length} tools, gated at /mcp; for clients of /ungated/mcp: ${crowd[1]}`
      : `${length} tools: ${crowd[1]}`;
    const remedy = gate.isClosed ? null : 'gate them with "gating": "on", make "profiles" of ' +
      'fewer tools, or leave tools out with "exclude"';
    found.push({ ...about, rule: "many-tools", message, remedy });
  }
  if (instructions !== undefined && instructions.length > CUT_DESCRIPTION) {
    const message = `instructions of ${instructions.length} characters in all: Claude Code cuts ` +
      `them at ${CUT_DESCRIPTION}`;
    found.push({ ...about, rule: "long-instructions", message, remedy: null });
  }
  return found;
}
