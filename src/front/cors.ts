/** CORS for origins the guard has let through (loopback pages and `allowedOrigins`). */

import { Header } from "../protocol/headers.ts";

const EXPOSED = [Header.SessionId, Header.ProtocolVersion].join(", ");

/** Answers a preflight request of an allowed origin. */
export function preflight(origin: string): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-origin": origin,
      "access-control-allow-methods": "GET, POST, DELETE",
      "access-control-allow-headers": [
        "content-type",
        "accept",
        "authorization",
        ...Object.values(Header),
      ].join(", "),
      "access-control-max-age": "600",
      "vary": "origin",
    },
  });
}

/** Lets a page of an allowed origin read the response, the session id included. */
export function corsHeaders(response: Response, origin: string): Response {
  response.headers.set("access-control-allow-origin", origin);
  response.headers.set("access-control-expose-headers", EXPOSED);
  response.headers.append("vary", "origin");
  return response;
}
