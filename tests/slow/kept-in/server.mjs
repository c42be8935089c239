/** A server that tells how the world looks from where it runs. Also what a stand-in container says. */

import { readdirSync } from "node:fs";
import { connect } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";

const TOOLS = {
  connect: ({ port }) =>
    new Promise((done) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => done("connected"));
      socket.once("error", ({ code }) => done(code));
    }),
  look: () =>
    JSON.stringify({
      env: process.env,
      processes: readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length,
      root: readdirSync("/"),
    }),
};

const ANSWERS = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: "kept-in", version: "1" },
  }),
  ping: () => ({}),
  "tools/list": () => ({
    tools: Object.keys(TOOLS).map((name) => ({ name, inputSchema: { type: "object" } })),
  }),
  "tools/call": async ({ name, arguments: args }) => ({
    content: [{ type: "text", text: await TOOLS[name](args ?? {}) }],
  }),
};

/** Answers on stdout what comes on stdin. */
export function serve() {
  createInterface({ input: process.stdin }).on("line", async (line) => {
    const { id, method, params } = JSON.parse(line);
    if (id === undefined) return;
    const answer = ANSWERS[method];
    const said = answer === undefined
      ? { error: { code: -32601, message: "Method not found" } }
      : { result: await answer(params) };
    process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...said })}\n`);
  });
}

if (process.argv[2] === "serve") serve();
