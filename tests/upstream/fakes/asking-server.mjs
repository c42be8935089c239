// A stdio server that asks its client back, logs, and has resources to subscribe to. The first
// argument says what it speaks: legacy, modern or dual.
import { eachLine, write } from "../../support/fakes/lines.mjs";

const mode = process.argv[2] ?? "legacy";
const send = (message) => write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
const reply = (id, result) => send({ id, result });
const text = (id, value) => reply(id, { content: [{ type: "text", text: JSON.stringify(value) }] });

const capabilities = {
  tools: {},
  logging: {},
  resources: { subscribe: true, listChanged: true },
};
const TOOLS = ["ask", "seen", "say", "hold", "release"].map((name) => ({
  name,
  inputSchema: { type: "object" },
}));

const seen = { pid: process.pid, initialize: null, levels: [], subscriptions: [], roots: 0 };
const listens = new Map();
const waiting = new Map();
const held = [];
let asked = 0;

function onCall({ id, params }) {
  const args = params.arguments ?? {};
  switch (params.name) {
    case "ask": {
      const ask = `s${++asked}`;
      waiting.set(ask, id);
      return send({ id: ask, method: args.method ?? "elicitation/create", params: args.params });
    }
    case "take-back":
      send({ id: "tb", method: "elicitation/create", params: {} });
      send({ method: "notifications/cancelled", params: { requestId: "tb" } });
      return text(id, "taken back");
    case "seen":
      return text(id, { ...seen, listens: [...listens.values()], meta: params._meta ?? null });
    case "say":
      for (const message of args.messages) send(message);
      return text(id, "said");
    case "update":
      for (const [listen, filter] of listens) {
        if (!filter.resourceSubscriptions?.includes(args.uri)) continue;
        const _meta = { "io.modelcontextprotocol/subscriptionId": listen };
        send({ method: "notifications/resources/updated", params: { uri: args.uri, _meta } });
      }
      return text(id, "updated");
    case "hold":
      return held.push(id);
    case "release":
      for (const each of held.splice(0)) text(each, "held");
      return text(id, "released");
    case "exit":
      return process.exit(1);
    default:
      return send({ id, error: { code: -32602, message: "Unknown tool" } });
  }
}

void eachLine((line) => {
  const message = JSON.parse(line);
  const { id, method, params } = message;
  if (method === undefined) {
    const call = waiting.get(id);
    waiting.delete(id);
    return call === undefined ? undefined : text(call, message.error ?? message.result);
  }
  if (method === "notifications/roots/list_changed") return seen.roots++;
  if (method === "notifications/cancelled") return listens.delete(params.requestId);
  if (id === undefined) return;
  switch (method) {
    case "server/discover":
      if (mode === "legacy") return send({ id, error: { code: -32601, message: "No" } });
      return reply(id, { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities });
    case "initialize":
      if (mode === "modern") {
        return send({
          id,
          error: { code: -32022, message: "Unsupported", data: { supported: ["2026-07-28"] } },
        });
      }
      seen.initialize = params;
      return reply(id, {
        protocolVersion: "2025-11-25",
        serverInfo: { name: "asking", version: "1" },
        capabilities,
      });
    case "logging/setLevel":
      seen.levels.push(params.level);
      return reply(id, {});
    case "resources/subscribe":
    case "resources/unsubscribe":
      seen.subscriptions.push(`${method === "resources/subscribe" ? "+" : "-"}${params.uri}`);
      return reply(id, {});
    case "resources/list":
      return reply(id, { resources: [] });
    case "resources/templates/list":
      return reply(id, { resourceTemplates: [] });
    case "tools/list":
      return reply(id, { tools: TOOLS });
    case "tools/call":
      return onCall(message);
    case "subscriptions/listen":
      listens.set(id, params.notifications);
      return send({
        method: "notifications/subscriptions/acknowledged",
        params: {
          notifications: params.notifications,
          _meta: { "io.modelcontextprotocol/subscriptionId": id },
        },
      });
    default:
      return send({ id, error: { code: -32601, message: `No ${method}` } });
  }
}, () => process.exit(0));
