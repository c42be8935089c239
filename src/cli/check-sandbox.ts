/** What `check` finds out about servers that are kept in. Loaded only where there is one. */

import { runtime } from "#runtime";
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import type { ConfigIssue } from "../config/issue.ts";
import type { Config, Env, StdioTarget } from "../config/types.ts";
import { attempt } from "../lib/json.ts";
import { messageOf } from "../lib/text.ts";
import { bwrapOf, clientOf, keptFor } from "../upstream/transport/sandbox.ts";

const UNIT = "systemd/system/mcproxy.service";
const DROP_IN = `etc/${UNIT}.d/sandbox.conf`;

/** Where what these have fetched is found again. */
const FETCHED: Readonly<Record<string, string>> = { npx: ".npm/_npx", uvx: "uv" };

/** What keeps servers from being kept in, or from starting when they are; `root` is `/`. */
export async function confiningWarnings(
  { file, servers }: Config,
  env: Env,
  root = "/",
): Promise<readonly ConfigIssue[]> {
  const issues: ConfigIssue[] = [];
  for (const { name, disabled, instances: [target] } of servers.values()) {
    if (disabled || target?.kind !== "stdio") continue;
    const { sandbox, image } = target;
    const key = image === undefined ? "sandbox" : "image";
    const warn = (message: string) =>
      issues.push({ file, line: 0, column: 0, path: `mcpServers.${name}.${key}`, message });
    try {
      if (sandbox !== undefined) {
        await bwrapOf(sandbox, { platform: process.platform, env, runtime });
      } else if (image !== undefined) clientOf({ env });
    } catch (error) {
      warn(messageOf(error));
    }
    if (sandbox === undefined) continue;
    if (unitForbids(root)) {
      const remedy = `install packaging/mcproxy-sandbox.conf as /${DROP_IN}`;
      warn(`the unit mcproxy.service of this machine forbids sandboxes; ${remedy}`);
    }
    if (!sandbox.network && fetchesFirst(name, target, env)) {
      warn(`${target.command} needs "network": true until it has fetched its program`);
    }
  }
  return issues;
}

/** Whether what the program fetches at its first start is not there yet. */
function fetchesFirst(server: string, { command }: StdioTarget, env: Env): boolean {
  const fetched = FETCHED[basename(command)];
  return fetched !== undefined &&
    !Object.values(keptFor(server, env)).some((kept) => kept && existsSync(join(kept, fetched)));
}

/** Whether the hardened unit is installed, without the drop-in that loosens it. */
function unitForbids(root: string): boolean {
  const units = ["etc", "usr/local/lib", "usr/lib"].map((place) => join(root, place, UNIT));
  const isHardened = (unit: string) =>
    /^RestrictNamespaces=yes/m.test(attempt(() => readFileSync(unit, "utf8")) ?? "");
  return !existsSync(join(root, DROP_IN)) && units.some(isHardened);
}
