/** How `deno task bench:peers` writes what it has measured. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { Client } from "../../bench/peers/client.mjs";
import { merged, type Results, sectionOf } from "../../bench/harness/report.ts";
import { row } from "../../bench/harness/row.ts";
import {
  barsPlot,
  linesPlot,
  markdownTable,
  peersSection,
  plots,
  written,
} from "../../bench/peers/report.ts";

const sides = ["mcproxy on Deno", "bare forwarder on Deno", "one (1.0.0)", "two <b> & co"];
const results = {
  date: "2026-01-01",
  machine: "one",
  sides,
  figures: {
    "rate/16": { [sides[0]!]: 100, [sides[1]!]: 900, [sides[2]!]: 200, [sides[3]!]: "failed: a|b" },
    "latency/1": { [sides[0]!]: 1, [sides[2]!]: 0.95 },
  },
  notes: ["three could not be had"],
};

test("a cell says what it says, and keeps its table whole", () => {
  assert.deepEqual([undefined, 0, 0.254, 12.34, 1234.5, "failed: x"].map(written), [
    "–",
    "0.00",
    "0.25",
    "12.3",
    "1235",
    "failed: x",
  ]);
  const table = markdownTable(["", "a"], [["x|y\n<z>", "`1\\2"]]);
  assert.deepEqual(table.split("\n"), ["|  | a |", "|---|---:|", "| x\\|y \\<z> | \\`1\\\\2 |"]);
});

test("a bar that is known is drawn to scale, others and none are no bar", () => {
  const plot = barsPlot("t < u", [
    { name: "a&b", value: 10 },
    { name: "c", value: 5 },
    { name: "d", value: undefined },
  ]);
  assert.deepEqual(plot.match(/width="[\d.]+" height="18"/g), [
    'width="380" height="18"',
    'width="190" height="18"',
    'width="0" height="18"',
  ]);
  assert.ok(plot.includes("a&amp;b") && plot.includes("t &lt; u") && plot.includes(">–<"));
  for (const bars of [[], [{ name: "zero", value: 0 }]]) {
    assert.doesNotMatch(barsPlot("t", bars), /NaN|Infinity/);
  }
});

test("a line has a point for each value that is known", () => {
  const plot = linesPlot("t", ["1", "2", "3"], [
    { name: "a", values: [0, undefined, 20] },
    { name: "b", values: [10, 10, 10] },
  ]);
  assert.deepEqual(plot.match(/points="[^"]*"/g), [
    'points="60,260 400,50"',
    'points="60,155 230,155 400,155"',
  ]);
  for (const [steps, values] of [[[], []], [["1"], [7]], [["1"], [0]]] as const) {
    const drawn = linesPlot("t", steps, [{ name: "a", values }]);
    assert.doesNotMatch(drawn, /NaN|Infinity/);
  }
});

test("the section says what others do better, and leaves baselines out of it", () => {
  const section = peersSection(results, "images");
  assert.deepEqual(section.match(/^- .*$/gm), [
    "- calls a second, 16 connections: **one (1.0.0)** 200, ours 100 (mcproxy on Deno)",
    "- three could not be had",
  ]);
  assert.ok(section.includes("failed: a\\|b"));
});

test("of others nothing is said that was not measured", () => {
  const said = (figures: Record<string, Record<string, number | string>>) =>
    peersSection({ ...results, figures }, "images").split("\n")
      .filter((line) => /others was better|nothing to compare|, ours /.test(line));
  const [ours, bare, other] = sides as [string, string, string];
  const none = ["There is nothing to compare: no line has a figure of both sides."];
  assert.deepEqual(said({}), none);
  assert.deepEqual(said({ recovery: { [ours]: 1 } }), none);
  assert.deepEqual(said({ recovery: { [ours]: 1, [bare]: 1, [other]: "failed: x" } }), none);
  assert.deepEqual(said({ recovery: { [ours]: 1, [other]: 1 } }), [
    "None of the others was better than ours by a tenth in any line that has both (1).",
  ]);
  const title = "SIGKILL of the upstream to the next answer (ms)";
  assert.deepEqual(said({ recovery: { [ours]: "failed: `x`", [other]: 7_000 } }), [
    `- ${title}: **${other}** 7000, ours failed: \\\`x\\\` (${ours})`,
  ]);
  assert.deepEqual(said({ "rate/4": { [other]: 8 } }), [
    `- calls a second, clients: 4: **${other}** 8.00, ours not measured (${ours})`,
  ]);
  assert.deepEqual(said({ "list/1x1000": { [ours]: 2, [other]: 1 } }), [
    `- p50 of a list (ms), tools: 1000: **${other}** 1.00, ours 2.00 (${ours})`,
  ]);
});

test("a client ends its session, once", async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.headers["mcp-session-id"] ?? ""}`.trim());
    if (request.method === "DELETE") return void response.destroy(); // What fails is ignored.
    const headers = { "content-type": "application/json", "mcp-session-id": "one" };
    let body = "";
    request.on("data", (text) => body += text);
    request.on("end", () => {
      const { id } = JSON.parse(body);
      if (id === undefined) return void response.writeHead(202, headers).end();
      response.writeHead(200, headers).end(JSON.stringify({ jsonrpc: "2.0", id, result: {} }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as { readonly port: number };
    const client = await Client.open({ port, sse: false });
    await client.close();
    await client.close();
    assert.deepEqual(asked, ["POST", "POST one", "DELETE one"]);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test("every plot that the section shows is written, and small", () => {
  const drawn = plots(results);
  const shown = peersSection(results, "images").matchAll(/\(images\/([^)]+)\)/g);
  assert.deepEqual(Array.from(shown, (match) => match[1]).sort(), Object.keys(drawn).sort());
  for (const plot of Object.values(drawn)) {
    assert.ok(plot.length < 20_000);
    assert.match(plot, /^<svg [^]*prefers-color-scheme:dark[^]*<\/svg>\n$/);
  }
});

test("a part of a benchmark that is measured anew leaves the rest as it was measured", () => {
  const measured = (name: string, of?: string) => ({
    ...row({ name, unit: "ms", ours: [1] }),
    ...(of === undefined ? {} : { case: of }),
  });
  const target = { target: "deno", machine: "one" };
  const before: Results = {
    ...target,
    ...{ version: "Deno 1.0.0", flags: "--old", date: "2026-01-01", rounds: 9 },
    rows: [measured("untold"), measured("first"), measured("a", "start"), measured("b", "call")],
    failures: ["start: x", "list: y: z"],
  };
  const now: Results = {
    ...target,
    ...{ version: "Deno 2.0.0", flags: "", date: "2026-02-02", rounds: 1 },
    rows: [measured("first", "start")],
    failures: ["start: w"],
  };
  const cases = ["start", "list", "call"];
  const part = merged(before, now, cases, ["start"]);
  assert.deepEqual(part.rows.map(({ name }) => name), ["first", "b", "untold"]);
  assert.deepEqual(part.failures, ["list: y: z", "start: w"]);
  const told = sectionOf(part);
  assert.match(told, /^2026-02-02, 1 rounds\./m);
  const old = "(measured 2026-01-01, 9 rounds, Deno 1.0.0, one. `--old`.)";
  assert.deepEqual(told.split("\n").map((line) => line.includes(old)).filter(Boolean).length, 2);
  assert.ok(!told.split("\n").find((line) => line.includes("| first"))!.includes("measured"));
  // However often: a row tells how it was measured itself.
  const again = merged(part, { ...now, rows: [] }, cases, ["list"]);
  assert.deepEqual(again.rows.map(({ run }) => run?.date), [
    "2026-02-02",
    "2026-01-01",
    "2026-01-01",
  ]);
  assert.deepEqual(merged(before, now, cases, cases), now);
  assert.equal(merged(undefined, now, cases, ["start"]), now);
});
