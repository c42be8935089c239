/** Metrics as OTLP has them: what was counted since the start of the process. */

import { takingTurns } from "../../lib/time.ts";
import type { Metric, Point } from "../metrics.ts";
import { BOUNDS } from "../series.ts";
import { attributesOf, nanos } from "./encode.ts";

const STARTED = nanos(performance.timeOrigin);
/** What comes before the points: since when is counted, as the protocol numbers it; and which way. */
const SINCE_START = { aggregationTemporality: 2 };
const KINDS = {
  gauge: { gauge: { dataPoints: [] } },
  counter: { sum: { ...SINCE_START, isMonotonic: true, dataPoints: [] } },
  histogram: { histogram: { ...SINCE_START, dataPoints: [] } },
} as const;
const END = "]}}";

/** The texts of all metrics that have points, made in turns. */
export async function* metricTexts(metrics: readonly Metric[]): AsyncGenerator<string> {
  for (const { name, help: description, unit = "", kind, points } of metrics) {
    const now = nanos(Date.now());
    const data: string[] = [];
    for await (const point of takingTurns(points)) data.push(JSON.stringify(dataOf(point, now)));
    const empty = JSON.stringify({ name, description, unit, ...KINDS[kind] });
    if (data.length > 0) yield empty.slice(0, -END.length) + data.join() + END;
  }
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
