/**
 * Times the gateway's way with one response (look at it, change its id, keep the rest as text)
 * against the plain way (parse, change, stringify). Prints JSON: per size, nanoseconds per message
 * of both ways, a sample each round.
 */

import { editJson } from "../../src/lib/json-edit.ts";
import { restoreId } from "../../src/upstream/connection/correlation.ts";
import { parseMessage, type ResponseMessage } from "../../src/protocol/message.ts";

const ROUNDS = 7;
/** Bytes worked through in each sample, so that all sizes take about as long. */
const VOLUME = 10_000_000;

interface Sample {
  readonly name: string;
  readonly ours: number[];
  readonly plain: number[];
}

let sink = 0;

function time(count: number, work: () => string): number {
  const began = performance.now();
  for (let index = 0; index < count; index++) sink += work().length;
  return (performance.now() - began) * 1e6 / count;
}

function compare(name: string, text: string, ours: () => string, plain: () => string): Sample {
  const count = Math.min(20_000, Math.max(2, Math.round(VOLUME / text.length)));
  const sample: Sample = { name, ours: [], plain: [] };
  time(count, ours);
  time(count, plain);
  for (let round = 0; round < ROUNDS; round++) {
    sample.ours.push(time(count, ours));
    sample.plain.push(time(count, plain));
  }
  return sample;
}

function callText(): string {
  const message = "The quick brown fox jumps over the lazy dog. ".repeat(4);
  const params = { name: "server03_read_document_000", arguments: { path: "a/b/c.txt", message } };
  return JSON.stringify({ jsonrpc: "2.0", id: 17, method: "tools/call", params });
}

/** A result with text, escapes included, in blocks of about 1 kB. */
function resultText(size: number): string {
  const block = { type: "text", text: 'A line with "quotes" and a \\ in it.\n'.repeat(24) };
  const content = Array.from({ length: Math.max(1, Math.round(size / 1_000)) }, () => block);
  return JSON.stringify({ jsonrpc: "2.0", id: 17, result: { content, isError: false } });
}

function call(): Sample {
  const text = callText();
  const edits = [
    { path: ["id"], value: "4711" },
    { path: ["params", "name"], value: '"read_document_000"' },
  ];
  return compare(`call of ${text.length} B`, text, () => {
    parseMessage(text);
    return editJson(text, edits);
  }, () => {
    const { params, ...rest } = JSON.parse(text);
    return JSON.stringify({ ...rest, id: 4711, params: { ...params, name: "read_document_000" } });
  });
}

function result(size: number, label: string): Sample {
  const text = resultText(size);
  return compare(`result of ${label}`, text, () => {
    return restoreId(parseMessage(text) as ResponseMessage, "4711");
  }, () => JSON.stringify({ ...JSON.parse(text), id: 4711 }));
}

console.log(JSON.stringify([call(), result(20_000, "20 kB"), result(5_000_000, "5 MB")]));
if (sink === 0) throw new Error("nothing was measured");
