/** Metrics as Prometheus reads them: its text format 0.0.4, or OpenMetrics 1.0 with examples. */

import { cut } from "../lib/text.ts";
import { nextTurn } from "../lib/time.ts";
import type { Attributes, Metric, Point } from "./metrics.ts";
import { BOUNDS, type Exemplar } from "./series.ts";

/** Series that are written before others have their turn: one has up to twenty lines. */
const AT_ONCE = 50;
/** Characters of a label: servers give their tools names of any length. */
const MOST_OF_LABEL = 1_000;
/** Of a unit, as the name of a metric ends. */
const UNITS = { s: "_seconds", By: "_bytes" } as const;

/** The media type of either format. */
export const MEDIA_TYPES = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  open: "application/openmetrics-text; version=1.0.0; charset=utf-8",
} as const;

/** Which of the formats there are. */
export type Format = keyof typeof MEDIA_TYPES;

/** What somebody wants who accepts this: OpenMetrics where he prefers it, else the text. */
export function formatFor(accept: string | null): Format {
  const weights = { "application/openmetrics-text": 0, "text/plain": 0, "text/*": 0, "*/*": 0 };
  for (const range of (accept ?? "").slice(0, 1_000).toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    if (!Object.hasOwn(weights, type)) continue;
    const q = Number(parameters.find((one) => one.startsWith("q="))?.slice(2) ?? 1);
    const at = type as keyof typeof weights;
    weights[at] = Math.max(weights[at], q || 0);
  }
  const { "application/openmetrics-text": open, ...others } = weights;
  return open > 0 && open >= Math.max(...Object.values(others)) ? "open" : "text";
}

/** All of it, in turns. */
export async function prometheusText(metrics: Iterable<Metric>, format: Format): Promise<string> {
  const parts: string[] = [];
  let count = 0;
  for (const metric of metrics) {
    const name = nameOf(metric);
    parts.push(head(metric, name, format));
    for (const point of metric.points) {
      parts.push(lines(metric, name, point, format));
      if (++count % AT_ONCE === 0) await nextTurn();
    }
  }
  if (format === "open") parts.push("# EOF\n");
  return parts.join("");
}

/** Without the ending that samples of counters have. */
function nameOf({ name, unit }: Metric): string {
  return name.replaceAll(".", "_") + (unit === undefined ? "" : UNITS[unit]);
}

function head({ kind, help, unit }: Metric, name: string, format: Format): string {
  const isInfo = format === "open" && name.endsWith("_info");
  const shown = isInfo
    ? name.slice(0, -"_info".length)
    : name + (format === "text" && kind === "counter" ? "_total" : "");
  const type = `# HELP ${shown} ${help}\n# TYPE ${shown} ${isInfo ? "info" : kind}\n`;
  return format === "open" && unit !== undefined
    ? `${type}# UNIT ${shown} ${UNITS[unit].slice(1)}\n`
    : type;
}

function lines(
  { kind }: Metric,
  name: string,
  [attributes, value]: Point,
  format: Format,
): string {
  const labels = labelsOf(attributes);
  const own = labels === "" ? "" : `{${labels}}`;
  if (typeof value === "number") {
    return `${name}${kind === "counter" ? "_total" : ""}${own} ${value}\n`;
  }
  const { buckets, exemplar, sum } = value;
  const shown = format === "open" ? exemplar : undefined;
  const before = labels === "" ? "" : `${labels},`;
  let text = "";
  let count = 0;
  for (let at = 0; at < buckets.length; at++) {
    count += buckets[at]!;
    const bound = BOUNDS[at] ?? Infinity;
    const isIts = shown && shown.value <= bound && shown.value > (BOUNDS[at - 1] ?? -1);
    text += `${name}_bucket{${before}le="${boundText(bound)}"} ${count}`;
    text += isIts ? `${exampleText(shown)}\n` : "\n";
  }
  return `${text}${name}_sum${own} ${sum}\n${name}_count${own} ${count}\n`;
}

/** Always with a fraction, as OpenMetrics has it. */
function boundText(bound: number): string {
  return bound === Infinity ? "+Inf" : Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

function exampleText({ traceId, value, at }: Exemplar): string {
  return ` # {trace_id="${traceId}"} ${value} ${(at / 1_000).toFixed(3)}`;
}

function labelsOf(attributes: Attributes): string {
  let text = "";
  for (const key in attributes) {
    const value = attributes[key];
    if (value === undefined) continue;
    text += `${text === "" ? "" : ","}${key.replaceAll(".", "_")}="${escaped(value)}"`;
  }
  return text;
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", '"': '\\"', "\n": "\\n" };

function escaped(value: string): string {
  return cut(value, MOST_OF_LABEL).toWellFormed().replace(/[\\"\n]/g, (char) => ESCAPES[char]!);
}
