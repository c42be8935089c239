import { MAX_EXPOSED_NAME } from "../protocol/names.ts";
import type { Registry } from "../registry/types.ts";
import type { CheckedTool, Finding } from "./diagnose.ts";

/** Claude, Codex and Zed take no longer name, with what they put in front of it. */
const LONGEST_NAME = 64;

/** What becomes of a tool's name, behind all servers and behind its own. */
export function nameFindings(
  { server, own, exposed }: Pick<CheckedTool, "server" | "own" | "exposed">,
  { conflicts, entries }: Pick<Registry, "conflicts" | "entries">,
): Pick<Finding, "level" | "rule" | "message" | "remedy">[] {
  const renamed = entries.find(({ name }) => name === server)?.shape?.tools?.rename?.[own];
  const wanted = spelled(own);
  const isWhole = [wanted, spelled(renamed ?? own)].some((name) => exposed.endsWith(name));
  const told = conflicts.some(({ type, parties }) =>
    type === "suffixed" && parties.some((party) => party.exposed === exposed)
  );
  const name = JSON.stringify(own.slice(0, 100));
  const remedy = 'give it a shorter name with "rename", or its server one with "alias"';
  if (own.length > LONGEST_NAME) {
    const message = `is called ${name} by its server, ${own.length} characters: clients of ` +
      `/servers/${server}/mcp that take at most ${LONGEST_NAME} leave it out`;
    return [{ level: "warning", rule: "name-long", message, remedy }];
  }
  if (!isWhole && !told) {
    const message = `is called ${name} by its server, which is cut: with its prefix it would be ` +
      `longer than ${MAX_EXPOSED_NAME} characters`;
    return [{ level: "note", rule: "name-cut", message, remedy }];
  }
  if (renamed === undefined && wanted !== own) {
    const message = `is called ${name} by its server: clients take A-Z a-z 0-9 _ - only`;
    return [{ level: "note", rule: "name-spelling", message, remedy: null }];
  }
  return [];
}

function spelled(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]/gu, "_");
}
