/**
 * The bare forwarder: HTTP to one stdio server in forty lines, with ids and nothing else. No
 * sessions, no checks, no names, no errors, no cancellation. Arguments: command and its arguments.
 */

import { spawn } from "node:child_process";
import process from "node:process";
import { Hono } from "hono";
import { serve } from "./serve.ts";

interface Rpc {
  id?: string | number;
  [member: string]: unknown;
}

const [command, ...args] = process.argv.slice(2);
const child = spawn(command!, args, { stdio: ["pipe", "pipe", "inherit"] });
const pending = new Map<number, (answer: Rpc) => void>();
let count = 0;
let rest = "";

child.stdout.setEncoding("utf8");
child.stdout.on("data", (chunk: string) => {
  rest += chunk;
  if (!chunk.includes("\n")) return; // A result of 5 MB comes in eighty pieces.
  const lines = rest.split("\n");
  rest = lines.pop()!;
  for (const line of lines) {
    const answer = JSON.parse(line) as Rpc;
    pending.get(answer.id as number)?.(answer);
    pending.delete(answer.id as number);
  }
});

const app = new Hono();
app.post("/mcp", async (c) => {
  const request = await c.req.json() as Rpc;
  const id = ++count;
  const answer = await new Promise<Rpc>((resolve) => {
    pending.set(id, resolve);
    child.stdin.write(JSON.stringify({ ...request, id }) + "\n");
  });
  return c.json({ ...answer, id: request.id });
});
serve(app.fetch);
