/** Answers outside MCP: small JSON bodies, also for what does not exist. */

import { jsonResponse } from "./post-reply.ts";

/** A JSON response; state of this moment, so `headers` usually say `no-store`. */
export function json(
  value: unknown,
  status = 200,
  headers?: Readonly<Record<string, string>>,
): Response {
  return jsonResponse(JSON.stringify(value), status, headers);
}

/** 404. HTML or text here breaks real clients, which look for OAuth where there is none. */
export function notFound(path: string): Response {
  return json({ error: "not_found", message: `No such path: ${path}` }, 404);
}

/** 405, with the methods there are. */
export function methodNotAllowed(allow: string): Response {
  return json({ error: "method_not_allowed", message: `Allowed: ${allow}` }, 405, { allow });
}
