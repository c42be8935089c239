/**
 * What middlewares cost a tool call: first of all a tool that has none.
 *
 *     deno run -A bench/middleware.ts
 *     bun bench/middleware.ts
 */

import process from "node:process";
import type { ServerTransform } from "../src/config/types.ts";
import { ActiveExchange } from "../src/gateway/clients/exchange.ts";
import { type Call, callOf, compose, type Next } from "../src/gateway/middleware/middleware.ts";
import { Chains, type TransformedServer } from "../src/gateway/middleware/chains.ts";
import type { Client } from "../src/protocol/exchange.ts";
import {
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
} from "../src/protocol/message.ts";

const ROUNDS = 5;
const CALLS = 200_000;

const client: Client = {
  label: "a",
  session: "a",
  era: "legacy",
  protocolVersion: "2025-11-25",
  capabilities: {},
  info: {},
  logLevel: undefined,
};
const request = parseMessage(
  '{"jsonrpc":"2.0","id":1,"method":"tools/call",' +
    '"params":{"name":"search","arguments":{"query":"weather in Vienna","limit":10}}}',
) as RequestMessage;
const content = [{ type: "text", text: "A result of usual length, some words long. ".repeat(20) }];
const response = parseMessage(
  JSON.stringify({ jsonrpc: "2.0", id: 1, result: { content } }),
) as ResponseMessage;
const exchange = new ActiveExchange(client, request, { send: () => {} });
const send: Next = () => Promise.resolve(response);
const call: Call = callOf(exchange, "s", "search", []);

const NOTHING: ServerTransform = { maxResultBytes: [], replace: [], cache: [] };
let config: TransformedServer | undefined;
const chains = new Chains({
  cacheSize: 1_000_000,
  config: () => config,
  inventory: () => undefined,
});
const view = { argumentRules: () => undefined };

/** As the router does it. */
function through(server: TransformedServer): Promise<ResponseMessage> {
  config = server;
  const chain = chains.of("tools/call", "s", "search", view);
  return chain === undefined ? send(call) : compose(chain, send)(call);
}

const rule = { tools: "*", ttl: 3_600_000, public: false };
const replace = { tools: ["*"], pattern: "sk-[a-z]+", flags: "", with: "", structured: false };
const cases: readonly (readonly [string, () => Promise<ResponseMessage>, number])[] = [
  ["no lookup (baseline)", () => send(call), 1],
  ["server without settings", through.bind(undefined, { key: "k" }), 1],
  [
    "settings for other tools only",
    through.bind(undefined, {
      key: "k",
      transform: { ...NOTHING, maxResultBytes: [{ tools: "other_*", bytes: 1000 }] },
    }),
    1,
  ],
  [
    "maxResultBytes, result fits",
    through.bind(undefined, {
      key: "k",
      transform: { ...NOTHING, maxResultBytes: [{ tools: "*", bytes: 100_000 }] },
    }),
    1,
  ],
  [
    "cache, hit",
    through.bind(undefined, { key: "k", transform: { ...NOTHING, cache: [rule] } }),
    10,
  ],
  [
    "replace, no match in 860 characters",
    through.bind(undefined, { key: "k", transform: { ...NOTHING, replace: [replace] } }),
    100,
  ],
];

for (const [name, run, share] of cases) {
  const calls = CALLS / share;
  for (let index = 0; index < calls / 4; index++) await run();
  const times = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let index = 0; index < calls; index++) await run();
    times.push((performance.now() - start) / calls * 1_000_000);
  }
  const median = times.sort((one, other) => one - other)[ROUNDS >> 1]!;
  process.stdout.write(`${name.padEnd(40)} ${median.toFixed(0).padStart(8)} ns a call\n`);
}
