/**
 * The bare forwarder to a Streamable HTTP server: Hono and `fetch`, and nothing else. No sessions,
 * no checks, no names, no errors; of an event stream it takes the one event. Argument: the
 * server's URL.
 */

import process from "node:process";
import { Hono } from "hono";
import { serve } from "./serve.ts";

const url = process.argv[2]!;
const headers = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  "mcp-protocol-version": "2025-11-25",
};

const app = new Hono();
app.post("/mcp", async (c) => {
  const body = await c.req.text();
  const response = await fetch(url, { method: "POST", headers, body });
  const text = await response.text();
  const isJson = text.startsWith("{");
  const answer = isJson ? text : text.slice(text.indexOf("data: ") + 6, text.lastIndexOf("\n\n"));
  return c.body(answer, 200, { "content-type": "application/json" });
});
serve(app.fetch);
