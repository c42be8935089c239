import { Refusal } from "./refusal.ts";

const JSON_TYPE = "application/json";
const STREAM_TYPE = "text/event-stream";
const BOTH_TYPES = `${JSON_TYPE}, ${STREAM_TYPE}`;
let lastAccepted = BOTH_TYPES;

/**
 * A POST may be answered either way, so the client has to accept both (Streamable HTTP). No
 * `Accept` at all means anything (RFC 9110 12.5.1).
 * @throws {Refusal} 406
 */
export function requireBothTypes(accept: string | null): void {
  // What real clients send comes first; reading it again for every request shows in a profile.
  if (accept === null || accept === BOTH_TYPES || accept === lastAccepted) return;
  if (accepts(accept, JSON_TYPE) && accepts(accept, STREAM_TYPE)) {
    lastAccepted = accept;
    return;
  }
  throw new Refusal(406, `Not acceptable: accept both ${JSON_TYPE} and ${STREAM_TYPE}`);
}

/**
 * A GET opens an event stream, which the client has to ask for.
 * @throws {Refusal} 406
 */
export function requireEventStream(accept: string | null): void {
  if (accept !== null && accepts(accept, STREAM_TYPE)) return;
  throw new Refusal(406, `Not acceptable: accept ${STREAM_TYPE}`);
}

function accepts(accept: string, type: string): boolean {
  return accept.split(",").some((part) => {
    const range = part.split(";")[0]!.trim().toLowerCase();
    return range === type || range === "*/*" || range === `${type.split("/")[0]}/*`;
  });
}
