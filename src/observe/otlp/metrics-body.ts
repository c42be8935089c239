/** Metrics as OTLP has them: what was counted since the start of the process. */

import { takingTurns } from "../../lib/time.ts";
import type { Metric, Point } from "../metrics.ts";
import { BOUNDS } from "../series.ts";
import { attributesOf, type AttributeValues, nanos, otlpBody } from "./encode.ts";

/** As the protocol numbers it. */
const CUMULATIVE = 2;
const STARTED = nanos(performance.timeOrigin);

/** The body of a request with all metrics, made in turns. */
export async function metricsBody(
  resource: AttributeValues,
  metrics: readonly Metric[],
): Promise<string> {
  const texts: string[] = [];
  for (const { name, help: description, unit = "", kind, points } of metrics) {
    const data: string[] = [];
    const now = nanos(Date.now());
    for await (const point of takingTurns(points)) data.push(JSON.stringify(dataOf(point, now)));
    if (data.length === 0) continue;
    const head = JSON.stringify({ name, description, unit }).slice(0, -1);
    const how = kind === "gauge"
      ? ""
      : `"aggregationTemporality":${CUMULATIVE},${kind === "counter" ? '"isMonotonic":true,' : ""}`;
    const member = kind === "counter" ? "sum" : kind;
    texts.push(`${head},"${member}":{${how}"dataPoints":[${data.join()}]}}`);
  }
  return otlpBody("Metrics", "metrics", resource, texts);
}

function dataOf([values, value]: Point, timeUnixNano: string) {
  const head = { attributes: attributesOf(values), startTimeUnixNano: STARTED, timeUnixNano };
  if (typeof value === "number") return { ...head, asDouble: value };
  const { count, sum, buckets, exemplar } = value;
  const exemplars = exemplar && [{
    timeUnixNano: nanos(exemplar.at),
    asDouble: exemplar.value,
    traceId: exemplar.traceId,
  }];
  return { ...head, count, sum, bucketCounts: [...buckets], explicitBounds: BOUNDS, exemplars };
}
