// A stdio server of which several run behind one name: every answer tells which process gave it. The
// first argument says what it speaks, legacy or modern; the second may name one more tool.
import { eachLine, write } from "../../support/fakes/lines.mjs";

const [mode = "legacy", extra] = process.argv.slice(2);
const send = (message) => write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
const reply = (id, result) => send({ id, result });
const fail = (id, message) => send({ id, error: { code: -32602, message } });
const pid = process.pid;
const complete = mode === "modern" ? { resultType: "complete" } : {};
const text = (id, value) =>
  reply(id, { ...complete, content: [{ type: "text", text: JSON.stringify(value) }] });

const capabilities = { tools: {}, tasks: {}, logging: {}, resources: { subscribe: true } };
const readOnly = { annotations: { readOnlyHint: true } };
const tools = [
  { name: "read", ...readOnly },
  { name: "write" },
  { name: "hold-read", ...readOnly },
  { name: "hold-write" },
  { name: "ask-read", ...readOnly },
  { name: "task" },
  { name: "state" },
  { name: "seen", ...readOnly },
  { name: "update" },
  ...(extra === undefined ? [] : [{ name: extra }]),
].map((tool) => ({ inputSchema: { type: "object" }, ...tool }));

const seen = { pid, levels: [], subscriptions: [], roots: 0 };
const tasks = new Set();

function onCall({ id, params }) {
  const args = params.arguments ?? {};
  const progressToken = params._meta?.progressToken;
  switch (params.name) {
    case "read":
    case "write":
      return args.ms === undefined ? text(id, pid) : setTimeout(() => text(id, pid), args.ms);
    case "hold-read":
    case "hold-write":
      // Tells the client that it is here, and stays there, or only in one process.
      for (const progress of args.progress ?? [1]) {
        send({ method: "notifications/progress", params: { progressToken, progress } });
      }
      return args.holder !== undefined && args.holder !== pid ? text(id, pid) : undefined;
    case "ask-read":
      return send({ id: `ask-${pid}`, method: "elicitation/create", params: {} });
    case "task": {
      const taskId = `task-${pid}-${tasks.size}`;
      tasks.add(taskId);
      return reply(id, { task: { taskId, status: "working" } });
    }
    case "state":
      if (params.requestState !== undefined) return text(id, [pid, params.requestState]);
      return reply(id, {
        resultType: "input_required",
        inputRequests: { a: { method: "elicitation/create", params: {} } },
        requestState: `${"x".repeat(300)}${pid}`,
      });
    case "leave":
      // What stays behind keeps the pipes open for a while.
      Bun.spawn(["sleep", "1"], { stdio: ["ignore", "inherit", "inherit"] });
      text(id, pid);
      return setImmediate(() => process.exit(1));
    case "seen":
      return text(id, seen);
    case "update":
      send({ method: "notifications/resources/updated", params: { uri: args.uri, pid } });
      return text(id, pid);
    default:
      return fail(id, `Unknown tool: ${params.name}`);
  }
}

void eachLine((line) => {
  const message = JSON.parse(line);
  const { id, method, params } = message;
  // An answer of the client; what it was asked for never comes.
  if (method === undefined) return;
  if (method === "notifications/roots/list_changed") return seen.roots++;
  if (id === undefined) return;
  switch (method) {
    case "server/discover":
      if (mode !== "modern") return send({ id, error: { code: -32601, message: "No" } });
      return reply(id, { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities });
    case "initialize": {
      if (mode === "modern") return fail(id, "Unsupported");
      const serverInfo = { name: "pool", version: "1" };
      return reply(id, { protocolVersion: "2025-11-25", serverInfo, capabilities });
    }
    case "logging/setLevel":
      seen.levels.push(params.level);
      return reply(id, {});
    case "resources/subscribe":
    case "resources/unsubscribe":
      seen.subscriptions.push(`${method === "resources/subscribe" ? "+" : "-"}${params.uri}`);
      return reply(id, {});
    case "resources/list":
      return reply(id, { resources: [{ uri: "a:b", name: "b" }] });
    case "resources/templates/list":
      return reply(id, { resourceTemplates: [] });
    case "tools/list":
      return reply(id, { tools });
    case "tools/call":
      return onCall(message);
    case "tasks/get":
    case "tasks/cancel":
      return tasks.has(params.taskId)
        ? reply(id, { taskId: params.taskId, status: "working", pid })
        : fail(id, "Unknown task");
    case "subscriptions/listen": {
      const _meta = { "io.modelcontextprotocol/subscriptionId": id };
      return send({
        method: "notifications/subscriptions/acknowledged",
        params: { notifications: params.notifications, _meta },
      });
    }
    default:
      return send({ id, error: { code: -32601, message: `No ${method}` } });
  }
}, () => process.exit(0));
