/** How long a status counts tokens, and for how long nobody else gets a turn. */

import { type AddressInfo, connect, createServer } from "node:net";
import { TokenTally } from "../../src/gateway/offers.ts";
import { GatingWorld } from "../../tests/gating/support.ts";
import type { ToolSet } from "./sets.ts";

/** Milliseconds of one gateway's first status, and of the next. */
export interface StatusTiming {
  readonly tools: number;
  readonly first: number;
  /** The longest stretch in which nothing else was served. */
  readonly longest: number;
  /** After a change of one server. */
  readonly again: number;
}

/** Counts the whole of a set as the status does. */
export async function timeStatus(set: ToolSet): Promise<StatusTiming> {
  const servers = Object.fromEntries([...set.servers].map(([name, tools]) => [name, { tools }]));
  const world = new GatingWorld({ gating: "on" }, servers as Servers);
  const tally = new TokenTally();
  const others = await watchOthers();
  let start = performance.now();
  const { aggregate } = await tally.of(world.registry);
  const first = performance.now() - start;
  const longest = await others();
  world.change({ [Object.keys(servers)[0]!]: { tools: [] } });
  start = performance.now();
  await tally.of(world.registry);
  const again = performance.now() - start;
  return { tools: aggregate.tools, first: ms(first), longest: ms(longest), again: ms(again) };
}

type Servers = ConstructorParameters<typeof GatingWorld>[1];

/** Sends bytes to and fro over a connection, until the longest wait for one is asked for. */
async function watchOthers(): Promise<() => Promise<number>> {
  const server = createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  let longest = 0;
  let last = performance.now();
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  socket.on("data", () => {
    look();
    socket.write("again");
  });
  socket.write("first");
  return async () => {
    look();
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    return longest;
  };
}

function ms(value: number): number {
  return Math.round(10 * value) / 10;
}
