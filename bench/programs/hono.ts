/**
 * The bare handler: answers every POST with the bytes of a file. Arguments: port, form, file. The
 * form is `string` (what a person would write), `bytes`, or `echo`: the least that answers the
 * request it got, with its id.
 */

import { readFileSync } from "node:fs";
import process from "node:process";
import { Hono } from "hono";
import { serve } from "./serve.ts";

const [port, form, file] = process.argv.slice(2);
const text = file === undefined ? "{}" : readFileSync(file, "utf8");
const result = text.slice(text.indexOf('"result"'));
const body = form === "bytes" ? new TextEncoder().encode(text) : text;
const headers = { "content-type": "application/json" };

const app = new Hono();
if (form === "echo") {
  app.post("/mcp", async (c) => {
    const { id } = await c.req.json() as { readonly id: number };
    return c.body(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},${result}`, 200, headers);
  });
} else {
  app.post("/mcp", (c) => c.body(body, 200, headers));
}
serve(app.fetch, Number(port ?? 0));
