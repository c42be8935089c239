/**
 * The bare handler: answers every POST with the bytes of a file. Arguments: port, form, file. The
 * form is `string` (what a person would write), `bytes`, or `echo`: the least that answers the
 * request it got, with its id. Of several files each is answered at `/profiles/p0/mcp` and so on.
 */

import { readFileSync } from "node:fs";
import process from "node:process";
import { Hono } from "hono";
import { serve } from "./serve.ts";

const [port, form, ...files] = process.argv.slice(2);
const headers = { "content-type": "application/json" };

const app = new Hono();
const texts = files.length === 0 ? ["{}"] : files.map((file) => readFileSync(file, "utf8"));
for (const [index, text] of texts.entries()) {
  answerAt(texts.length === 1 ? "/mcp" : `/profiles/p${index}/mcp`, text);
}
serve(app.fetch, Number(port ?? 0));

function answerAt(path: string, text: string): void {
  const result = text.slice(text.indexOf('"result"'));
  const body = form === "bytes" ? new TextEncoder().encode(text) : text;
  if (form === "echo") {
    app.post(path, async (c) => {
      const { id } = await c.req.json() as { readonly id: number };
      return c.body(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},${result}`, 200, headers);
    });
  } else {
    app.post(path, (c) => c.body(body, 200, headers));
  }
}
