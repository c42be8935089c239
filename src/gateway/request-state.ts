/**
 * `requestState` of a call that is parked here (2026-07-28, multi round-trip requests). The client
 * keeps it and gives it back; it is attacker-controlled input, so it is signed and bound to
 * everything the retry has to have in common with the first request.
 */

import { canonicalJson } from "../lib/canonical.ts";
import { nodeCrypto } from "../lib/crypto.ts";
import type { JsonObject } from "../lib/json.ts";

/** What a state must be presented with to be good. */
export interface StateContext {
  /** Who asks; empty without authentication. */
  readonly principal: string;
  /** The session's label, empty for a client without session. */
  readonly session: string;
  readonly server: string;
  readonly method: string;
  /** {@link paramsDigest} of the request. */
  readonly digest: string;
}

/** What a state says when it is good. */
export interface StateClaims {
  /** Which parked call. */
  readonly call: string;
  /** Which round of it; an earlier one has been answered already. */
  readonly round: number;
  /** Milliseconds since the epoch after which it is worthless. */
  readonly expires: number;
}

/** Why a state was refused, for the log; the client learns only that it was. */
export type StateFault = "malformed" | "altered or presented with other parameters" | "expired";

/** Signs and checks states with a key that lives as long as the process, like what it signs for. */
export class StateSigner {
  #secret: Buffer | undefined;

  /** The text for the client to keep. */
  sign(claims: StateClaims, context: StateContext): string {
    const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
    return `${payload}.${this.#mac(payload, context).toString("base64url")}`;
  }

  /** The claims of a state that is good for `context` at `now`, or why it is not. */
  verify(state: string, context: StateContext, now: number): StateClaims | StateFault {
    const [payload, mac, ...rest] = state.split(".");
    if (payload === undefined || mac === undefined || rest.length > 0) return "malformed";
    const given = Buffer.from(mac, "base64url");
    const expected = this.#mac(payload, context);
    if (given.length !== expected.length || !nodeCrypto().timingSafeEqual(given, expected)) {
      return "altered or presented with other parameters";
    }
    // Signed by us, so it is what we wrote.
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as StateClaims;
    return claims.expires < now ? "expired" : claims;
  }

  #mac(payload: string, context: StateContext): Buffer {
    const { principal, session, server, method, digest } = context;
    // As JSON, so that no two contexts run together into one text.
    const text = JSON.stringify([payload, principal, session, server, method, digest]);
    this.#secret ??= nodeCrypto().randomBytes(32);
    return nodeCrypto().createHmac("sha256", this.#secret).update(text).digest();
  }
}

/** A digest of what a retry must repeat: the parameters without what differs between rounds. */
export function paramsDigest(params: JsonObject | undefined): string {
  const { _meta, inputResponses: _responses, requestState: _state, ...same } = params ?? {};
  return nodeCrypto().createHash("sha256").update(canonicalJson(same)).digest("base64url");
}
