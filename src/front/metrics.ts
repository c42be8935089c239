/** `GET /metrics`: what Prometheus asks for. */

import type { Observatory } from "../observe/observatory.ts";
import { type Format, formatFor, MEDIA_TYPES, prometheusText } from "../observe/prometheus.ts";

/** Answers who scrapes; those who ask at the same time are told the same. */
export function metricsAnswer(observatory: Observatory): (request: Request) => Promise<Response> {
  const running = new Map<Format, Promise<string>>();
  const textIn = async (format: Format) =>
    await prometheusText(await (await observatory.metrics()).gather(), format);
  return async ({ headers }) => {
    const format = formatFor(headers.get("accept"));
    const text = running.getOrInsertComputed(
      format,
      () => textIn(format).finally(() => running.delete(format)),
    );
    return new Response(await text, {
      headers: {
        "content-type": MEDIA_TYPES[format],
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
      },
    });
  };
}
