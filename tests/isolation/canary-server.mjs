// A stdio server that tells everything it knows wherever it can: its environment and its arguments.
import { eachLine, write } from "../support/fakes/lines.mjs";

const [, , mode] = process.argv;
// Without gaps, so that wherever it is cut, a secret is cut.
const endless = (process.env.LITERAL ?? "").repeat(300);
const told = () => [JSON.stringify({ ...process.env }), process.argv.slice(3).join(" ")].join(" ");
/** @param {unknown} message */
const send = (message) => write(`${JSON.stringify(message)}\n`);

for (const [name, value] of Object.entries(process.env)) console.error(`${name}=${value}`);
console.error(told());

if (mode === "crash") process.exit(7);
if (mode === "cut") {
  console.error(endless);
  // Longer than any line that is kept.
  console.error(endless.repeat(50));
  process.exit(8);
}
if (mode === "junk") {
  console.log(told());
  console.log(`{"jsonrpc":"2.0","id":1,"result":${JSON.stringify(told())}`);
  console.log(endless);
}
const schema = { type: "object", properties: {} };
const tools = ["die", "log", "hang"].map((name) => ({ name, inputSchema: schema }));

void eachLine((line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined || mode === "hang") return;
  const fail = () =>
    send({ jsonrpc: "2.0", id, error: { code: -32603, message: told(), data: told() } });
  if (method === "initialize" && mode === "version") {
    return send({ jsonrpc: "2.0", id, result: { protocolVersion: told(), capabilities: {} } });
  }
  if (method === "initialize" && mode !== "refuse") {
    const capabilities = { tools: {}, logging: {} };
    const serverInfo = { name: "canary", version: "1" };
    const result = { protocolVersion: "2025-11-25", capabilities, serverInfo };
    return send({ jsonrpc: "2.0", id, result });
  }
  if (method === "tools/list" && mode !== "list") {
    return send({ jsonrpc: "2.0", id, result: { tools } });
  }
  if (method !== "tools/call") return fail();
  switch (params.name) {
    case "log":
      send({
        jsonrpc: "2.0",
        method: "notifications/message",
        params: { level: "error", data: told() },
      });
      return send({ jsonrpc: "2.0", id, result: { content: [] } });
    case "die":
      console.error(told());
      return process.stderr.write(`${told()}\n`, () => process.exit(9));
  }
}, () => {});
