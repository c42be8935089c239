/** What a client is told that is not let in: how it gets in (RFC 6750, RFC 9728). */

import type { Settings } from "../../config/types.ts";
import { JSON_TYPE, Refusal } from "../reply.ts";
import type { CredentialFault } from "./admission.ts";

/** Where the metadata of what is protected are. */
const WELL_KNOWN = "/.well-known/oauth-protected-resource";

/** What asks for a token that can be renewed; no right to anything here. */
const NO_RIGHT = "offline_access";

/** Where to have one from for what only the gateway's own pages and commands ask. */
const OWN_KEYS = '; "mcproxy ui" opens the page with one, and commands find theirs, or MCPROXY_KEY';

/** The public address without a slash at its end; empty where there is none. */
export function addressOf({ publicUrl }: Pick<Settings, "publicUrl">): string {
  if (publicUrl === undefined) return "";
  const { origin, pathname } = new URL(publicUrl);
  return origin + pathname.replace(/\/+$/, "");
}

/** The words of one configuration. */
export class Challenges {
  readonly #address: string;
  /** Those to send a client to: the tokens of the others come by a proxy, without its doing. */
  readonly #servers: readonly string[];
  readonly #scopes: readonly string[];
  readonly #prefixes: readonly string[];

  constructor(settings: Pick<Settings, "auth" | "publicUrl">) {
    this.#address = addressOf(settings);
    const issuers = settings.auth?.issuers ?? [];
    const asked = issuers.filter(({ header }) => header === undefined);
    this.#servers = asked.map(({ issuer }) => issuer);
    this.#scopes = [...new Set(asked.flatMap(({ scopes }) => scopes))];
    this.#prefixes = issuers.flatMap(({ as }) => as ?? []);
  }

  /** 401, for a credential that is wrong or for none. */
  unauthorized(path: string, fault?: CredentialFault): Refusal {
    const ways = this.#servers.length === 0
      ? ['realm="mcproxy"']
      : [this.#metadataAt(path), ...scopeOf(this.#scopes)];
    const error = fault && `error="invalid_token", error_description="${fault.why}"`;
    const message = fault === undefined
      ? `Unauthorized: no credential found, expected a header "Authorization: Bearer …"${
        path.startsWith("/api/") ? OWN_KEYS : ""
      }`
      : `Unauthorized: the credential is ${fault.why}`;
    return refusal(401, message, {
      "www-authenticate": `Bearer ${[...ways, ...error === undefined ? [] : [error]].join(", ")}`,
    });
  }

  /** 403, for somebody who may come back with one of more scopes. */
  lacksScope(scopes: readonly string[], path: string): Refusal {
    // Issuers do not know what comes before their scopes here.
    const own = scopes.map((scope) => {
      const prefix = this.#prefixes.find((prefix) => scope.startsWith(prefix)) ?? "";
      return scope.slice(prefix.length);
    }).filter((scope) => /^[\x21\x23-\x5B\x5D-\x7E]+$/.test(scope));
    const metadata = this.#servers.length === 0 ? [] : [this.#metadataAt(path)];
    const all = ['error="insufficient_scope"', ...scopeOf([...new Set(own)]), ...metadata];
    return refusal(403, "Forbidden: the token lacks a scope", {
      "www-authenticate": `Bearer ${all.join(", ")}`,
    });
  }

  /** The metadata of the gateway, or of what is at a path; undefined where no issuer is told. */
  metadata(path: string): Response | undefined {
    if (this.#servers.length === 0) return undefined;
    const scopes = this.#scopes.filter((scope) => scope !== NO_RIGHT);
    const document = {
      resource: this.#address + pathIn(path),
      authorization_servers: this.#servers,
      ...(scopes.length === 0 ? {} : { scopes_supported: scopes }),
      bearer_methods_supported: ["header"],
      resource_name: "mcproxy",
    };
    return new Response(JSON.stringify(document), {
      headers: {
        "content-type": JSON_TYPE,
        "cache-control": "public, max-age=300",
        "access-control-allow-origin": "*",
      },
    });
  }

  #metadataAt(path: string): string {
    return `resource_metadata="${this.#address}${WELL_KNOWN}${pathIn(path)}"`;
  }
}

/** A refusal whose headers are in its own hands. */
export function refusal(
  status: number,
  message: string,
  headers: Readonly<Record<string, string>>,
): Refusal {
  return new Refusal(status, message, undefined, undefined, headers);
}

function scopeOf(scopes: readonly string[]): string[] {
  return scopes.length === 0 ? [] : [`scope="${scopes.join(" ")}"`];
}

/** A path as it may stand in a header, without a slash at its end. */
function pathIn(path: string): string {
  return encodeURI(path.toWellFormed()).replaceAll("%25", "%").replace(/\/+$/, "");
}
