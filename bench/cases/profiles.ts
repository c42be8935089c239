import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Case, type Context, interleave } from "../harness/case.ts";
import { fakeUpstreams } from "../harness/config.ts";
import { baselineCommand, gatewayCommand } from "../harness/programs.ts";
import { atLeast, type Row, row } from "../harness/row.ts";
import { openSessions, post, ready, requestText, withShortIds } from "../harness/session.ts";
import { type Server, startServer } from "../harness/server.ts";

const CONNECTIONS_EACH = 3;
const JOB = { warmup: 300, duration: 1_200 };

/** Of everything, of some servers, two that filter, and one with other names. */
const PROFILES = {
  p0: {},
  p1: { servers: ["server1*"] },
  p2: { tools: { include: ["*_01?"] } },
  p3: { tools: { exclude: ["*_00?"] } },
  p4: { servers: ["server{00,01,02}"], separator: "__" },
};

/** Cached `tools/list` of five profiles against a bare Hono handler with the same bytes. */
export const profiles: Case = { name: "profiles", run };

async function run({ target, generator, rounds }: Context): Promise<readonly Row[]> {
  // 1 020 tools on 30 servers, in 5 profiles.
  using config = fakeUpstreams(30, { tools: 34 }, { profiles: PROFILES });
  await using ours = await startServer(gatewayCommand(target, config.path));
  await ready(ours);
  const views = await Promise.all(Object.keys(PROFILES).map((name) => viewAt(ours, name)));
  const folder = mkdtempSync(join(tmpdir(), "mcproxy-bench-"));
  const files = views.map(({ answer }, index) => {
    const file = join(folder, `p${index}.json`);
    writeFileSync(file, answer);
    return file;
  });
  const baseline = (form: string) => baselineCommand(target, "hono.ts", ["0", form, ...files]);
  await using text = await startServer(baseline("string"));
  await using echo = await startServer(baseline("echo"));
  rmSync(folder, { recursive: true });

  const connections = views.flatMap(({ requests }) => requests);
  const short = withShortIds(connections);
  const requestsTo = (server: Server) => server === ours ? connections : short;
  for (const server of [ours, text, echo]) await generator.warm(server, requestsTo(server));
  const load = (server: Server) =>
    generator.run(server, { connections: requestsTo(server), ...JOB });
  const samples = await interleave(rounds, {
    ours: () => load(ours),
    text: () => load(text),
    echo: () => load(echo),
  });
  const perSecond = (side: keyof typeof samples) => samples[side].map((one) => one.perSecond);
  return [
    row({
      name: `tools/list of five profiles, ${connections.length} connections`,
      unit: "requests/s",
      ours: perSecond("ours"),
      baseline: perSecond("text"),
      budget: atLeast(0.9),
      note: `30 servers; ${views.map(({ tools }) => tools).join(", ")} tools; bare Hono handler ` +
        "with the same texts as constant strings, whatever was asked",
    }),
    row({
      name: "the same against a handler that answers by id",
      unit: "requests/s",
      ours: perSecond("ours"),
      baseline: perSecond("echo"),
      note: "Hono handler that parses the request and puts its id before the string",
    }),
  ];
}

/** What one profile answers, and the requests of its connections. */
async function viewAt(server: Server, profile: string) {
  const path = `/profiles/${profile}/mcp`;
  const sessions = await openSessions(server, CONNECTIONS_EACH, path);
  const message = { jsonrpc: "2.0", id: 1, method: "tools/list" };
  const answer = await (await post(server, sessions[0], message, path)).text();
  const { tools } = (JSON.parse(answer) as { result: { tools: readonly unknown[] } }).result;
  if (tools.length === 0) throw new Error(`Cannot measure: profile ${profile} has no tools`);
  const requests = sessions.map((session) =>
    Array.from(
      { length: 20 },
      (_, index) => requestText(session, "tools/list", {}, index + 1, path),
    )
  );
  return { answer, requests, tools: tools.length };
}
