import { createHash } from "node:crypto";
import { type Case, type Context, interleave } from "../harness/case.ts";
import { fakeUpstreams } from "../harness/config.ts";
import { gatewayCommand } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { startServer } from "../harness/server.ts";
import { openSessions, ready, requestText, withKey as shown } from "../harness/session.ts";

const JOB = { warmup: 300, duration: 1_200 };
const KEY = "mcproxy_bench";

/** A gateway that asks who it is, and shows him a profile, against one that does not. */
export const withKey: Case = { name: "with-key", run };

async function run({ target, generator, rounds }: Context): Promise<readonly Row[]> {
  const profiles = { all: {} };
  const hash = createHash("sha256").update(KEY).digest("hex");
  const auth = { keys: { bench: `sha256:${hash}` } };
  const access = { "key:bench": ["all", "/api/status"] };
  using open = fakeUpstreams(1, { tools: 100 }, { profiles });
  using closed = fakeUpstreams(1, { tools: 100 }, { profiles, auth, access });
  await using bare = await startServer(gatewayCommand(target, open.path));
  await using started = await startServer(gatewayCommand(target, closed.path));
  const ours = Object.assign(started, { key: KEY });
  await ready(bare);
  await ready(ours);
  const [own, others] = [await openSessions(ours, 16), await openSessions(bare, 16, PATH)];
  const rows: Row[] = [];
  for (const [method, params, most] of METHODS) {
    const requests = (sessions: readonly string[], path: string) =>
      sessions.map((session) => [requestText(session, method, params, 1, path)]);
    const [keyed, plain] = [shown(requests(own, "/mcp"), KEY), requests(others, PATH)];
    await generator.warm(ours, keyed);
    await generator.warm(bare, plain);
    const samples = await interleave(rounds, {
      ours: () => generator.run(ours, { connections: keyed, ...JOB }),
      bare: () => generator.run(bare, { connections: plain, ...JOB }),
    });
    rows.push(row({
      name: `${method} with a key, processor time`,
      unit: "µs/request",
      ours: samples.ours.map(({ cpuMicros }) => cpuMicros),
      baseline: samples.bare.map(({ cpuMicros }) => cpuMicros),
      budget: atMost(most),
      note: "16 sessions; the same gateway without auth, at the profile's own URL",
    }));
  }
  return rows;
}

const PATH = "/profiles/all/mcp";
const CALL = { name: "server00_read_document_000", arguments: { message: "hello" } };
const METHODS = [["tools/list", {}, 1.03], ["tools/call", CALL, 1.02]] as const;
