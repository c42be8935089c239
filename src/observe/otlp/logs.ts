/** Lines of the log as OTLP has them, from warnings on. */

import { isObject } from "../../lib/json.ts";
import type { Entry } from "../../log/entry.ts";
import { fieldsIn } from "../../log/fields.ts";
import { attributesOf, nanos } from "./encode.ts";

/** As the protocol numbers and calls them; what is less severe is not sent. */
const SEVERITY: Readonly<Record<string, readonly [number, string]>> = {
  warning: [13, "WARN"],
  error: [17, "ERROR"],
  fatal: [21, "FATAL"],
};

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
  const traceId = typeof others.rid === "string" ? traceOf(others.rid) : undefined;
  const [severityNumber, severityText] = SEVERITY[level]!;
  return {
    timeUnixNano: nanos(time),
    observedTimeUnixNano: nanos(time),
    severityNumber,
    severityText,
    body: { stringValue: message },
    attributes: attributesOf({
      "mcproxy.category": category,
      ...others,
      "exception.type": broken?.name ?? type,
      "exception.message": broken?.message ?? why ?? (broken ? undefined : error),
      "exception.stacktrace": broken?.stack ?? (detail.join("\n") || undefined),
    }),
    droppedAttributesCount: 0,
    ...(traceId === undefined ? {} : { flags: 1, traceId }),
  };
}
