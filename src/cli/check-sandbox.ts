/** What `check` finds out about servers that are kept in. Loaded only where there is one. */

import { runtime } from "#runtime";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import type { ConfigIssue } from "../config/issue.ts";
import type { Config, Env, StdioTarget } from "../config/types.ts";
import { attempt } from "../lib/json.ts";
import { messageOf } from "../lib/text.ts";
import { bwrapOf, clientOf, keptFor } from "../upstream/transport/sandbox.ts";

const UNIT = "mcproxy.service";
const UNITS = ["etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system"];

/** Where what these have fetched is found again. */
const FETCHED: Readonly<Record<string, string>> = { npx: ".npm/_npx", uvx: "uv" };

/** What keeps servers from being kept in, or from starting when they are; `root` is `/`. */
export async function confiningWarnings(
  { file, servers }: Config,
  env: Env,
  root = "/",
): Promise<readonly ConfigIssue[]> {
  const issues: ConfigIssue[] = [];
  const warn = (name: string, key: string, message: string) =>
    issues.push({ file, line: 0, column: 0, path: `mcpServers.${name}.${key}`, message });
  for (const { name, disabled, instances: [target] } of servers.values()) {
    if (disabled || target?.kind !== "stdio") continue;
    const { sandbox, image } = target;
    const key = image === undefined ? "sandbox" : "image";
    const { platform } = process;
    try {
      if (sandbox !== undefined) await bwrapOf(sandbox, { platform, env, runtime });
      else if (image !== undefined) await clientOf({ env });
    } catch (error) {
      warn(name, key, messageOf(error));
    }
    if (sandbox === undefined) continue;
    if (unitForbids(root)) {
      const remedy = `put packaging/mcproxy-sandbox.conf into /etc/systemd/system/${UNIT}.d`;
      warn(name, key, `the unit ${UNIT} of this machine forbids sandboxes; ${remedy}`);
    }
    if (!sandbox.network && await fetchesFirst(name, target, env)) {
      warn(name, key, `${target.command} needs "network": true until it has fetched its program`);
    }
  }
  return issues;
}

/** Whether what the program fetches at its first start is not there yet. */
async function fetchesFirst(server: string, { command }: StdioTarget, env: Env): Promise<boolean> {
  const fetched = FETCHED[basename(command)];
  if (fetched === undefined) return false;
  return !Object.values(await keptFor(server, env)).some((kept) => existsSync(join(kept, fetched)));
}

/** Whether the hardened unit is installed, without the drop-in that loosens it. */
function unitForbids(root: string): boolean {
  const read = (path: string) => attempt(() => readFileSync(path, "utf8")) ?? "";
  return UNITS.some((directory) => {
    const unit = join(root, directory, UNIT);
    const folder = `${unit}.d`;
    const dropIns = attempt(() => readdirSync(folder)) ?? [];
    return /^RestrictNamespaces=yes/m.test(read(unit)) &&
      !dropIns.some((name) => /^RestrictNamespaces=/m.test(read(join(folder, name))));
  });
}
