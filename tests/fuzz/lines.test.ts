import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import fc from "fast-check";
import { runtime } from "#runtime";
import { parseConfig } from "../../src/config/load.ts";
import { serveStdio } from "../../src/front/stdio.ts";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { LineDecoder } from "../../src/lib/lines.ts";
import { receive } from "../../src/upstream/transport/transport.ts";
import { brokenText, jsonText, rpcText } from "./arbitrary.ts";
import { bytesOf, corpus, type Part } from "./input.ts";
import { rounds } from "../support/rounds.ts";

const RUNS = { seed: 20261120, numRuns: rounds(2_000) };

const uncaught: unknown[] = [];
process.on("unhandledRejection", (error) => uncaught.push(error));

/** Bytes cut into chunks; sizes are used in turn. */
function cut(all: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0, i = 0; at < all.length; i++) {
    const size = sizes[i % sizes.length] ?? all.length;
    chunks.push(all.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

/** Everything a decoder says, in order. */
function decode(chunks: readonly Uint8Array[], limit: number): string[] {
  const said: string[] = [];
  const decoder = new LineDecoder({
    limit,
    onLine: (line) => said.push(`line ${line}`),
    onOverlong: () => said.push("overlong"),
  });
  for (const chunk of chunks) decoder.push(chunk);
  decoder.end();
  return said;
}

/** What a decoder has to say: line by line, each one by itself. */
function expected(all: Uint8Array, limit: number): string[] {
  const lines: Uint8Array[] = [];
  let start = 0;
  for (let at = all.indexOf(10); at >= 0; at = all.indexOf(10, start)) {
    lines.push(all.subarray(start, at));
    start = at + 1;
  }
  lines.push(all.subarray(start));
  return lines.flatMap((line) => {
    if (line.length > limit) return ["overlong"];
    const text = new TextDecoder().decode(line).replace(/\r$/, "");
    return text === "" ? [] : [`line ${text}`];
  });
}

const chunk = fc.oneof(
  fc.uint8Array({ maxLength: 30 }),
  fc.constantFrom("\n", "\r\n", "\n\n", "\ufeff", "é", "𝒳", "{}\n", "x".repeat(25))
    .map((text) => new TextEncoder().encode(text)),
);

test("LineDecoder says the same of any bytes, however they are cut and whatever is too long", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(chunk), sizes, fc.integer({ min: 1, max: 40 }), (parts, sizes, limit) => {
      const all = new Uint8Array(Buffer.concat(parts));
      assert.deepEqual(decode(cut(all, sizes), limit), expected(all, limit));
    }),
    RUNS,
  );
});

const anyText = fc.oneof(
  rpcText,
  brokenText,
  jsonText,
  fc.array(rpcText, { maxLength: 3 }).map((all) => `[${all.join()}]`),
  fc.string({ unit: "binary" }),
);

test("receive() makes messages or complaints of any text and never throws", () => {
  const check = (text: string) => {
    let said = 0;
    receive(text, {
      onMessage: ({ raw, kind }) => {
        said++;
        assert.equal(JSON.parse(raw).jsonrpc, "2.0", kind);
      },
      onInvalid: ({ kind, error, snippet }) => {
        said++;
        // A number or a text by itself is what programs print.
        const isMeant = isJson(text) && /^\s*[[{]/.test(text);
        assert.equal(kind, isMeant ? "invalid" : "junk");
        assert.doesNotThrow(() => JSON.parse(error.idText));
        assert.ok(snippet.length <= 500, `a snippet of ${snippet.length} characters`);
      },
    }, undefined);
    const value = isJson(text) ? JSON.parse(text) : undefined;
    assert.equal(said, Array.isArray(value) ? Math.max(1, value.length) : 1);
  };
  for (const { input } of corpus<readonly Part[]>("lines.json")) {
    check(new TextDecoder().decode(bytesOf(input)));
  }
  fc.assert(fc.property(anyText, check), RUNS);
});

/** A stdio client of a gateway without servers: lines go in, everything written comes out. */
async function converse(lines: readonly Uint8Array[]): Promise<string[]> {
  const config = parseConfig('{"mcpServers":{}}', { file: "fuzz", env: {} });
  assert.ok(config.ok);
  const gateway = new Gateway({ config: config.config, runtime });
  const written: string[] = [];
  async function* input() {
    for (const line of lines) {
      yield line;
      yield new Uint8Array([10]);
    }
    yield new TextEncoder().encode('{"jsonrpc":"2.0","id":"the end","method":"ping"}\n');
    // Answers are given in later turns; the end of the input would cut them off.
    while (!written.some((line) => line.includes('"the end"'))) await turn();
    for (let i = 0; gateway.inFlight > 0 && i < 1_000; i++) await turn();
  }
  try {
    const write = (line: string) => void written.push(line);
    await serveStdio({ gateway, endpoint: AGGREGATE, input: input(), write });
    return written;
  } finally {
    await gateway.close();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function checkWritten(written: readonly string[]): void {
  for (const line of written) {
    assert.ok(line.endsWith("\n") && line.indexOf("\n") === line.length - 1, line);
    const message = JSON.parse(line);
    assert.equal(message.jsonrpc, "2.0");
    assert.notEqual(message.error?.message, "Internal error in the gateway; see its log");
  }
}

test("stdio front survives every kept line and any other, and answers what comes after", async () => {
  for (const { name, input } of corpus<readonly Part[]>("lines.json")) {
    const written = await converse([bytesOf(input)]).catch((cause) => {
      throw new Error(`Cannot survive "${name}": ${cause.message}`, { cause });
    });
    checkWritten(written);
  }
  const lines = fc.array(
    anyText.map((text) => new TextEncoder().encode(text.replaceAll("\n", " "))),
    {
      maxLength: 10,
    },
  );
  await fc.assert(
    fc.asyncProperty(lines, async (lines) => checkWritten(await converse(lines))),
    { ...RUNS, numRuns: rounds(500) },
  );
  assert.deepEqual(uncaught, []);
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
