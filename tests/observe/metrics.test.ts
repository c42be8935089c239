/** What is told of metrics, to the letter, and what their number and their names may not do. */

import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Gateway } from "../../src/gateway/gateway.ts";
import { type Metric, Metrics } from "../../src/observe/metrics.ts";
import { type Format, formatFor, prometheusText } from "../../src/observe/prometheus.ts";
import { Histogram, MOST_SERIES, Series, UNKNOWN } from "../../src/observe/series.ts";
import { Scope } from "../behaviour/scope.ts";
import { House } from "../front/access/house.ts";
import { holdTime } from "../support/time.ts";

const AT = Date.UTC(2026, 10, 30);

/** Of each metric some series. */
function someSeries(): Series {
  const series = new Series();
  const method = "tools/call";
  const call = series.operations.of({ method, name: "a__echo", server: "a" });
  for (const ms of [0.5, 1, 12, 400_000]) call.observe(ms);
  call.exemplar = { traceId: "0af7651916cd43dd8448eb211c80319c", value: 0.012, at: AT };
  series.operations.of({ method, name: UNKNOWN, errorType: "refused" }).observe(0.2);
  series.operations.of({ method: "prompts/get", name: 'b__"p\\\n', server: "b" }).observe(3);
  series.requests.of({ method, server: "a", transport: "pipe" }).observe(11);
  series.requests.of({ method, server: "b", transport: "tcp", errorType: "-32602" }).observe(60);
  series.gateway.of({ method }).observe(0.25);
  series.queue.of({ server: "a" }).observe(0);
  series.resultSize.of({ server: "a" }).value = 1_234;
  return series;
}

function metricsOf(gateway: Gateway, series = new Series(), reloads = {}): Metrics {
  return new Metrics({
    ...{ gateway, recorder: { series }, reloads },
    dropped: () => Promise.resolve({ history: 3, bodies: 0 }),
    alerts: Promise.resolve({ firing: { down: 1 } }),
  });
}

/** Compares with a file, which `UPDATE_GOLDEN=1` writes. */
function isGolden(name: string, text: string): void {
  const path = fileURLToPath(new URL(`../golden/metrics/${name}`, import.meta.url));
  const shown = text.replace(/^(process_\w+) .*$/gm, "$1 N")
    .replace(
      /(version|runtime)="[\w.]+"/g,
      (found, key) => found.includes("2025") ? found : `${key}="X"`,
    );
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(path, shown);
  assert.ok(existsSync(path));
  assert.equal(shown, readFileSync(path, "utf8"));
}

test("all metrics, in both formats", async () => {
  await using scope = new Scope();
  const house = await House.open(scope, {});
  const metrics = metricsOf(house.gateway, someSeries(), { accepted: 2, refused: 1 });
  scope.defer(() => metrics.close());
  const time = holdTime();
  scope.defer(() => time[Symbol.dispose]());
  await house.session("/mcp");
  const session = await house.session("/mcp");
  const ended = await house.ask("/mcp", {
    method: "DELETE",
    headers: { "mcp-session-id": session },
  });
  await ended.body?.cancel();
  for (const format of ["text", "open"] as const) {
    isGolden(`${format}.golden`, await prometheusText(await metrics.gather(), format));
  }
  const told = await metrics.gather();
  const cpu = told.find(({ name }) => name === "process_cpu_seconds")!;
  assert.ok(Number([...cpu.points][0]![1]) > 0);
});

test("a server that is gone is told of no more", async () => {
  await using scope = new Scope();
  const house = await House.open(scope, {});
  const metrics = metricsOf(house.gateway);
  scope.defer(() => metrics.close());
  const up = async () => {
    const text = await prometheusText(await metrics.gather(), "text");
    return text.match(/^mcproxy_server_up.*$/gm);
  };
  const isUp = (name: string) => `mcproxy_server_up{mcproxy_server_name="${name}"} 1`;
  assert.deepEqual(await up(), [isUp("a"), isUp("b")]);
  house.reload({ mcpServers: { b: { command: "fake" } }, profiles: {} });
  assert.deepEqual(await up(), [isUp("b")]);
});

test("there are never too many series, and never two of one name", async () => {
  const { operations } = new Series();
  for (let i = 0; i < 100_000; i++) {
    operations.of({ method: "tools/call", name: `tool${i}`, server: "a" }).observe(1);
  }
  assert.equal(operations.size, MOST_SERIES + 1);
  const points = Iterator.from(operations).map(([{ name, overflow }, value]) =>
    [{ name, "otel.metric.overflow": overflow && "true" }, value] as const
  );
  const metric: Metric = { name: "m", kind: "histogram", unit: "s", help: "h", points };
  const text = await prometheusText([metric], "text");
  const counts = text.match(/^m_seconds_count.*$/gm)!;
  assert.equal(new Set(counts).size, MOST_SERIES + 1);
  const rest = `m_seconds_count{otel_metric_overflow="true"} ${100_000 - MOST_SERIES}`;
  assert.equal(counts.at(-1), rest);
});

test("others have their turn between fifty series and the next", async () => {
  const points = Array.from({ length: 200 }, (_, i) => [{ i: `${i}` }, new Histogram()] as const);
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns++;
    if (!isOver) setTimeout(count);
  };
  setTimeout(count);
  const metric: Metric = { name: "m", kind: "histogram", unit: "s", help: "h", points };
  await prometheusText([metric], "open");
  isOver = true;
  assert.ok(turns >= 3, `${turns} turns`);
});

test("a name of a million characters is a label of a thousand, on one line", async () => {
  const name = "x\n\ud800".repeat(300_000);
  const points = [[{ name }, 1]] as const;
  const metric: Metric = { name: "m", kind: "gauge", unit: undefined, help: "h", points };
  const text = await prometheusText([metric], "text");
  assert.ok(text.length < 2_000, `${text.length}`);
  assert.ok(text.isWellFormed());
  assert.equal(text.split("\n").length, 4);
});

const ACCEPTED: readonly (readonly [string | null, Format])[] = [
  [null, "text"],
  ["", "text"],
  ["*/*", "text"],
  ["text/html,*/*;q=0.8", "text"],
  ["application/openmetrics-text; version=1.0.0", "open"],
  [
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
    "open",
  ],
  ["Application/OpenMetrics-Text;q=0.3, text/plain;q=0.7", "text"],
  ["application/openmetrics-text;q=0", "text"],
  ["application/openmetrics-text;q=x", "text"],
  ["constructor", "text"],
];

for (const [accept, format] of ACCEPTED) {
  test(`who accepts ${accept} gets ${format}`, () => assert.equal(formatFor(accept), format));
}
