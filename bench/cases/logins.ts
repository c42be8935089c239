import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Case, type Context, interleave, rest } from "../harness/case.ts";
import { configOf } from "../harness/config.ts";
import { gatewayCommand } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { MB, startServer } from "../harness/server.ts";
import { ready } from "../harness/session.ts";

const UPSTREAM = fileURLToPath(new URL("../programs/upstream-http.mjs", import.meta.url));
const IDLE = 3_000;

/** What it costs in memory that servers are asked by a login. */
export const logins: Case = { name: "logins", run };

async function run({ target, rounds }: Context): Promise<readonly Row[]> {
  await using upstream = await startServer({ command: "node", args: [UPSTREAM] });
  const names = Array.from({ length: 10 }, (_, index) => `remote${index}`);
  const url = `${upstream.base}/json`;
  const serversWith = (more: object) =>
    Object.fromEntries(names.map((name) => [name, { url, ...more }]));
  using open = configOf(serversWith({}));
  using granted = configOf(serversWith({ auth: { type: "oauth" } }));
  const state = join(dirname(granted.path), "state");
  mkdirSync(state, { mode: 0o700 });
  const grants = names.map((server) => ({
    ...{
      server,
      url,
      principal: "",
      issuer: upstream.base,
      tokenEndpoint: `${upstream.base}/token`,
    },
    ...{ client: { id: "bench", auth: "none" }, accessToken: `token-${server}`, issuedAt: 0 },
  }));
  writeFileSync(join(state, "grants.json"), JSON.stringify({ version: 1, grants }), {
    mode: 0o600,
  });
  const resident = async (path: string) => {
    const line = gatewayCommand(target, path);
    const env = { ...line.env, STATE_DIRECTORY: path === granted.path ? state : `${state}-none` };
    await using server = await startServer({ ...line, env });
    await ready(server);
    const health = await (await fetch(`${server.base}/health`)).json();
    if (health.status !== "ok") throw new Error(`not every server is there: ${health.status}`);
    await rest(IDLE);
    return server.rss() / MB;
  };
  const { ours, bare } = await interleave(rounds, {
    ours: () => resident(granted.path),
    bare: () => resident(open.path),
  });
  return [row({
    name: "resident, idle 3 s, ten HTTP upstreams with a login",
    unit: "MB",
    ours,
    baseline: bare,
    how: "difference",
    budget: atMost(3),
    note: "the same without",
  })];
}
