/** Lines of the log as OTLP has them, from warnings on. */

import { isObject, type Json } from "../../lib/json.ts";
import type { Entry } from "../../log/entry.ts";
import { fieldsIn } from "../../log/fields.ts";
import { attributesOf, type AttributeValues, nanos, otlpBody } from "./encode.ts";

/** As the protocol numbers them; what is less severe is not sent. */
const SEVERITY: Readonly<Record<string, number>> = { warning: 13, error: 17, fatal: 21 };

/** Whether a line is sent. Those about the sending itself are not: each would bring the next. */
export function isSent({ level, category }: Pick<Entry, "level" | "category">): boolean {
  return SEVERITY[level] !== undefined && category !== "otlp";
}

/** What is sent of a line, which is redacted already; `traceOf` knows the trace of a call by its id. */
export function logRecord(
  { time, level, category, message, fields, json, detail }: Entry,
  traceOf: (rid: string) => string | undefined,
) {
  const { error, ...others } = fieldsIn(json ?? fields);
  const broken = isObject(error) ? error : undefined;
  const [, type, why] = /^([\w.$]+): (.*)$/.exec(detail[0] ?? "") ?? [];
  const exception = {
    "exception.type": broken?.name ?? type,
    "exception.message": broken?.message ?? why ?? (broken ? undefined : error),
    "exception.stacktrace": broken?.stack ?? (detail.length > 0 ? detail.join("\n") : undefined),
  };
  const { rid } = others;
  const traceId = typeof rid === "string" ? traceOf(rid) : undefined;
  return {
    timeUnixNano: nanos(time),
    observedTimeUnixNano: nanos(time),
    severityNumber: SEVERITY[level],
    severityText: level === "warning" ? "WARN" : level.toUpperCase(),
    body: { stringValue: message },
    attributes: attributesOf({
      "mcproxy.category": category,
      ...plain(others),
      ...plain(exception),
    }),
    droppedAttributesCount: 0,
    ...(traceId === undefined ? {} : { flags: 1, traceId }),
  };
}

function plain(values: Readonly<Record<string, Json | undefined>>): AttributeValues {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      value === null ? undefined : typeof value === "object" ? JSON.stringify(value) : value,
    ]),
  );
}

/** The body of a request with lines. */
export function logsBody(resource: AttributeValues, logRecords: readonly string[]): string {
  return otlpBody("Logs", "logRecords", resource, logRecords);
}
