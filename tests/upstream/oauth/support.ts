/** An issuer without a network: what each request for a token is answered, and who asked. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FetchDocument } from "../../../src/protocol/issuer.ts";
import type { Grant } from "../../../src/upstream/oauth/grants.ts";

export const URL_OF_IT = "https://mcp.example.com/mcp";
export const ISSUER = "https://id.example.com";

/** As far as `Date.now()` goes here. */
export class Time {
  ms = 1_800_000_000_000;
  readonly now = () => this.ms;
}

export interface Asked {
  readonly url: string;
  readonly headers: Headers;
  readonly form: URLSearchParams;
}

export type Answering = (asked: Asked) => Response | Promise<Response>;

/** Rotates refresh tokens, and gives nothing for one that was used before. */
export class FakeIssuer {
  readonly asked: Asked[] = [];
  /** What it may be asked at, for each guard that was made. */
  readonly trusted: (readonly string[])[] = [];
  /** Instead of what it does by itself. */
  instead: Answering | undefined;
  life: number | string | undefined = 3_600;
  #count = 0;
  #refresh = "refresh-0";

  readonly fetchFor = (trusted: readonly string[]): FetchDocument => {
    this.trusted.push(trusted);
    return (url, init) => this.#answer(url, init);
  };

  async #answer(url: string, init: RequestInit): Promise<Response> {
    if (url.includes("/.well-known/")) {
      const methods = { token_endpoint_auth_methods_supported: ["client_secret_post"] };
      const revocation = { revocation_endpoint: `${ISSUER}/revoke` };
      const known = { issuer: ISSUER, token_endpoint: `${ISSUER}/token` };
      return Response.json({ ...known, ...methods, ...revocation });
    }
    const form = new URLSearchParams(String(init.body));
    const asked = { url, headers: new Headers(init.headers), form };
    this.asked.push(asked);
    if (this.instead !== undefined) return await this.instead(asked);
    const given = form.get("refresh_token");
    if (given !== null && given !== this.#refresh) {
      return Response.json({ error: "invalid_grant" }, { status: 400 });
    }
    const n = ++this.#count;
    if (given !== null) this.#refresh = `refresh-${n}`;
    return Response.json({
      access_token: `access-${n}`,
      expires_in: this.life,
      ...(given === null ? {} : { refresh_token: this.#refresh }),
    });
  }
}

export function grantFor(time: Time, more: Partial<Grant> = {}): Grant {
  return {
    server: "it",
    principal: "",
    url: URL_OF_IT,
    issuer: ISSUER,
    tokenEndpoint: `${ISSUER}/token`,
    client: { id: "client", auth: "none" },
    resource: URL_OF_IT,
    scope: "read",
    accessToken: "access-0",
    issuedAt: time.ms,
    expiresAt: time.ms + 3_600_000,
    refreshToken: "refresh-0",
    ...more,
  };
}

export interface Directory extends AsyncDisposable {
  readonly path: string;
}

export async function directory(): Promise<Directory> {
  const path = await mkdtemp(join(tmpdir(), "mcproxy-grants-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
