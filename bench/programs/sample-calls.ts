/** Calls of many tools of one server, for programs that time what is done beside a call. */

import type { Gateway } from "../../src/gateway/gateway.ts";
import type { Facts } from "../../src/gateway/events.ts";
import {
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
} from "../../src/protocol/message.ts";

export const CALLS = 50_000;
export const ROUNDS = 15;
export const TOOLS = 40;

export const requests = Array.from({ length: TOOLS }, (_, at) => {
  const params = { name: `github_tool_${at}`, arguments: { owner: "me", title: "So" } };
  const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
  return parseMessage(raw) as RequestMessage;
});
export const routes = requests.map((_, at) => ({
  server: "github",
  name: `tool_${at}`,
  exposed: `github_tool_${at}`,
}));
export const raw = '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"It is"}]}}';
export const response = parseMessage(raw) as ResponseMessage;
export const client = {
  label: "c1",
  session: "c1",
  era: "legacy",
  protocolVersion: "2025-11-25",
  capabilities: {},
  info: { name: "editor", version: "2.1" },
  principal: { id: "key:ci", who: "ci", names: [] },
  logLevel: undefined,
} as const;
const server = {
  config: { instances: [{ kind: "stdio" }] },
  offered: { lists: { tools: { items: routes.map(({ name: key }) => ({ key })) } } },
};
export const outlet = { send: () => {} };

/** As far as a recorder asks it; what it asks beyond that is an error of types. */
export function gatewayOf(events: Facts): Pick<Gateway, "events" | "members" | "redact"> {
  const members = { get: () => server } as unknown as Gateway["members"];
  return { events, members, redact: (text) => text };
}
