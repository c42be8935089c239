// A raw JSON-RPC stdio server with one fault, chosen by the first argument. Answers `tools/call` by
// tool name, so that each test reads as the exchange it is about.
import { eachLine, write } from "../../support/fakes/lines.mjs";

const mode = process.argv[2] ?? "plain";
const state = process.argv[3];
const send = (message) => write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
const reply = (id, result) => send({ id, result });
const fail = (id, code, message, data) => send({ id, error: { code, message, data } });
const text = (id, value) => reply(id, { content: [{ type: "text", text: value }] });

if (mode === "crash") {
  const { writeSync } = await import("node:fs");
  writeSync(2, "starting\nbad flag --frobnicate\n");
  process.exit(3);
}
if (mode === "ignore-stop") process.on("SIGTERM", () => {});
if (mode === "junk") write("Listening on stdio...\n{not json}\n[1,2]\n\n");
if (mode === "noisy") { for (let i = 0; i < 500; i++) process.stderr.write(`line ${i}\n`); }
if (mode === "hang" || mode === "ignore-stop") setInterval(() => {}, 1e6);

const tools = [{ name: "echo", inputSchema: { type: "object" }, big: 1 }];
const cancelled = [];
let held;
let frozen = false;

const info = {
  capabilities: { tools: { listChanged: true } },
  instructions: "Use with care",
};

function onCall({ id, params }) {
  const { name, arguments: args = {} } = params;
  const token = params._meta?.progressToken;
  switch (name) {
    case "echo":
      return text(id, JSON.stringify(args));
    case "request":
      return text(id, JSON.stringify(params));
    case "twice":
      text(id, "first");
      return text(id, "second");
    case "never":
      return;
    case "hold":
      held = id;
      return;
    case "release":
      text(held, "late");
      return text(id, "released");
    case "old-id":
      text(1, "not yours");
      return text(id, "mine");
    case "garbage":
      return write(`{"jsonrpc":"2.0","id":${id},"result":42}\n`);
    case "broken": {
      const head = `{"jsonrpc":"2.0","id":${args.way === "text" ? `"${id}"` : id},"result":{`;
      return write(head + (args.way === "cut" ? '"content":[{"ty\n' : '"value":NaN}}\n'));
    }
    case "compute": {
      // Nothing else happens meanwhile, as in a server that is one thread.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, args.ms);
      return text(id, "computed");
    }
    case "freeze":
      frozen = true;
      return text(id, "frozen");
    case "exit":
      process.stderr.write("fatal: out of cheese\n");
      return process.exit(7);
    case "huge":
      return text(id, "x".repeat(args.size));
    case "big-number":
      return write(
        `{"result":{"content":[],"n":12345678901234567890,"e":1e400,"u":{"id":5}},` +
          `"jsonrpc":"2.0","id":${id}}\n`,
      );
    case "split": {
      const bytes = Buffer.from(
        JSON.stringify({ jsonrpc: "2.0", id, result: { text: "Grüße 🧀" } }) + "\r\n",
      );
      let at = 0;
      const next = () => {
        if (at < bytes.length) {
          write(bytes.subarray(at, ++at)).then(() => setImmediate(next));
        }
      };
      return next();
    }
    case "progress": {
      let out = "";
      const tokens = args.foreign === undefined ? [token] : [args.foreign, token];
      for (const each of tokens) {
        const params = { progressToken: each, progress: 1, note: "kept" };
        out += JSON.stringify({ jsonrpc: "2.0", method: "notifications/progress", params }) + "\n";
      }
      return write(out + JSON.stringify({ jsonrpc: "2.0", id, result: {} }) + "\n");
    }
    case "slow-progress": {
      let left = args.steps;
      const timer = setInterval(() => {
        if (left-- > 0) {
          send({ method: "notifications/progress", params: { progressToken: token, progress: 1 } });
        } else {
          clearInterval(timer);
          text(id, "done");
        }
      }, args.every);
      return;
    }
    case "cancelled":
      return text(id, JSON.stringify(cancelled));
    case "ask":
      send({ id: "srv-1", method: args.method });
      held = id;
      return;
    case "add-tools":
      for (let i = 0; i < 50; i++) {
        tools.push({ name: `extra${tools.length}`, inputSchema: { type: "object" } });
        send({ method: "notifications/tools/list_changed" });
      }
      return text(id, "added");
    case "env":
      return text(id, JSON.stringify(process.env));
    default:
      return fail(id, -32602, `Unknown tool: ${name}`);
  }
}

let lists = 0;
void eachLine((line) => {
  const message = JSON.parse(line);
  const { id, method, params } = message;
  if (mode === "hang" || frozen) return;
  if (method === undefined) return text(held, JSON.stringify(message.error ?? message.result));
  if (method === "notifications/cancelled") return cancelled.push(params.requestId);
  if (id === undefined) {
    if (method === "notifications/initialized" && mode === "early-change") {
      tools.push({ name: "early", inputSchema: {} });
      send({ method: "notifications/tools/list_changed" });
    }
    return;
  }
  const modern = params?._meta?.["io.modelcontextprotocol/protocolVersion"] !== undefined;
  switch (method) {
    case "server/discover":
      if (mode === "exit-on-probe") process.exit(1);
      if (mode === "silent-probe") return;
      if (mode === "modern" || mode === "dual") {
        return reply(id, {
          resultType: "complete",
          supportedVersions: ["2026-07-28"],
          ...info,
          _meta: { "io.modelcontextprotocol/serverInfo": { name: "fake", version: "2" } },
        });
      }
      return fail(id, -32601, "Method not found");
    case "initialize":
      if (mode === "modern") {
        return fail(id, -32022, "Unsupported", { supported: ["2026-07-28"], requested: "x" });
      }
      if (mode === "future") return reply(id, { protocolVersion: "2099-01-01", capabilities: {} });
      return reply(id, {
        protocolVersion: mode === "old" ? "2024-11-05" : "2025-11-25",
        serverInfo: { name: "fake", version: "1", extra: 1.0 },
        ...info,
      });
    case "tools/list": {
      lists++;
      if (mode === "list-error" && lists > 1) return fail(id, -32603, "database is locked");
      if (mode === "loop") return reply(id, { tools, nextCursor: "same" });
      if (mode === "pages") {
        const page = params?.cursor === undefined ? 0 : params.cursor === "" ? 1 : 2;
        return reply(id, {
          tools: [{ name: `p${page}` }, ...(page === 1 ? [{ title: "no name" }, 7] : [])],
          nextCursor: ["", "c2", undefined][page],
          ttlMs: [500, 100, 900][page],
          cacheScope: ["public", "private", "public"][page],
        });
      }
      return reply(id, { tools, ...(state === undefined ? {} : { pid: process.pid }) });
    }
    case "tools/call":
      return onCall(message);
    case "subscriptions/listen":
      send({
        method: "notifications/subscriptions/acknowledged",
        params: {
          notifications: params.notifications,
          _meta: { "io.modelcontextprotocol/subscriptionId": id },
        },
      });
      return;
    default:
      return fail(id, -32601, `Method not found: ${method} ${modern}`);
  }
}, () => {
  if (mode !== "ignore-stop") process.exit(0);
});
