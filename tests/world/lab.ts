/** One gateway in memory with all odd servers of a file behind it, and a neighbour that is not odd. */

import assert from "node:assert/strict";
import { runtime } from "#runtime";
import { Server } from "../../src/app/server.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/types.ts";
import { HttpClient } from "../support/clients/http.ts";
import { type Received, resultOf, textOf } from "../support/clients/message.ts";
import { ModernClient } from "../support/clients/modern.ts";
import { FakeRuntime, listeningWith } from "../support/fake-runtime.ts";
import { Neighbour, neighbourProgram } from "./neighbour.ts";
import type { ServerRow } from "./rows.ts";
import { OddServers, stdioProgram } from "./servers.ts";

/** One way to see a server: the aggregate, a profile, or it alone. */
export interface View {
  readonly name: string;
  /** What a tool of the row is called here. */
  nameOf(row: string, tool: string): string;
  /** The tools of the row in the list, as they came. */
  toolsOf(row: string): Promise<readonly Record<string, unknown>[]>;
  call(row: string, tool: string, args?: unknown): Promise<Received>;
}

export class Lab implements AsyncDisposable {
  readonly #odd: OddServers;

  private constructor(
    readonly server: Server,
    readonly neighbour: Neighbour,
    readonly views: readonly View[],
    odd: OddServers,
    /** How often a row's server was asked for something, by method. */
    readonly asked: (row: string, method: string) => number,
  ) {
    this.#odd = odd;
  }

  /** The neighbour comes first, and its client; then all others are added at once. */
  static async start(rows: readonly ServerRow[] = []): Promise<Lab> {
    const counts = new Map<string, number>();
    const count = (row: string, method: string) => {
      counts.set(`${row} ${method}`, (counts.get(`${row} ${method}`) ?? 0) + 1);
    };
    const held = Neighbour.held();
    const programs = Object.fromEntries(
      rows.flatMap((row) =>
        row.stdio === undefined ? [] : [[row.name, stdioProgram(row.name, row.stdio(), count)]]
      ),
    );
    const fake = new FakeRuntime({ programs: { ...programs, good: neighbourProgram(held) } });
    const odd = await OddServers.start(rows, count);
    const config = (some: readonly ServerRow[]) =>
      configOf(Object.fromEntries(some.map((row) => [row.name, odd.entryOf(row)])));
    const server = await Server.start({
      config: config([]),
      runtime: listeningWith(runtime.serve, fake),
      listen: true,
    });
    const { gateway } = server;
    await gateway.settled();
    const neighbour = await Neighbour.connect(server.url!, held);
    if (rows.length > 0) {
      gateway.reload(config(rows));
      await gateway.settled();
    }
    const views = await Promise.all([
      sharedView("aggregate", server.url!),
      sharedView("profile", new URL("/profiles/all/mcp", server.url!).href),
      ownView(server.url!),
    ]);
    const asked = (row: string, method: string) => counts.get(`${row} ${method}`) ?? 0;
    return new Lab(server, neighbour, views, odd, asked);
  }

  /** The status of a row's server. */
  statusOf(row: string) {
    return this.server.gateway.members.get(row)!.upstream.status();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.neighbour.close();
    await this.server.stop();
    await this.#odd.close();
  }
}

function configOf(odd: Readonly<Record<string, unknown>>): Config {
  const text = JSON.stringify({
    port: 0,
    healthInterval: 0,
    // A machine that is busy with other tests is no reason to give a server up.
    startupTimeout: "3m",
    profiles: { all: { servers: ["*"] } },
    mcpServers: { good: { command: "good" }, ...odd },
  });
  const parsed = parseConfig(text, { file: "world", env: {} });
  assert.ok(parsed.ok, parsed.ok ? "" : JSON.stringify(parsed.issues));
  return parsed.config;
}

/** Where all servers are together: a session of the older kind that goes on. */
async function sharedView(name: string, url: string): Promise<View> {
  const client = await HttpClient.connect(url);
  const nameOf = (row: string, tool: string) => `${row}_${tool}`;
  return {
    name,
    nameOf,
    toolsOf: async (row) => {
      const { tools } = resultOf(await client.request("tools/list")).json;
      return tools.filter((tool: { name: string }) => tool.name.startsWith(`${row}_`));
    },
    call: (row, tool, args = {}) =>
      client.request("tools/call", { name: nameOf(row, tool), arguments: args }),
  };
}

/** One server by itself, asked by a client of the newer kind that has no session. */
function ownView(url: string): View {
  const clientOf = (row: string) => new ModernClient(new URL(`/servers/${row}/mcp`, url).href);
  return {
    name: "1:1",
    nameOf: (_row, tool) => tool,
    toolsOf: async (row) => resultOf(await clientOf(row).request("tools/list")).json.tools,
    call: (row, tool, args = {}) =>
      clientOf(row).request("tools/call", { name: tool, arguments: args }),
  };
}

/** What an answer says: the text of a result, or the message of an error. */
export function wordsOf(answer: Received): string {
  return answer.json?.error?.message ?? textOf(answer);
}
