/**
 * URIs that two upstreams share, told apart: `<label>+<uri>`, the label being the server's name as
 * it may stand in a URI scheme (RFC 3986, 3.1). Clients parse URIs, some refuse a whole list for an
 * invalid one, and parsers lower-case the scheme.
 *
 * A `ui://` URI keeps its scheme, for MCP Apps hosts accept no other (ext-apps 2026-01-26): there
 * the label stands in the authority, `ui://<label>+<rest>`.
 */

import { shortHash } from "../lib/hash.ts";

const UI = "ui://";

/**
 * The label of each server, `[a-z][a-z0-9.-]*`, no two alike. A function of the set of names: where
 * two servers would get the same label, each gets a hash suffix.
 */
export function uriLabels(servers: Iterable<string>): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  let pending = [...new Set(servers)];
  const taken = new Set<string>();
  for (let level = 0; pending.length > 0; level++) {
    const wanted = Map.groupBy(pending, (server) => spellLabel(server, level));
    pending = [];
    const settled: string[] = [];
    for (const [label, members] of wanted) {
      if (members.length > 1 || taken.has(label)) {
        pending.push(...members);
        continue;
      }
      labels.set(members[0]!, label);
      settled.push(label);
    }
    for (const label of settled) taken.add(label);
  }
  return labels;
}

/** The URI or URI template under which a view offers the `uri` of the server with this label. */
export function labelUri(label: string, uri: string): string {
  return isUi(uri)
    ? `${uri.slice(0, UI.length)}${label}+${uri.slice(UI.length)}`
    : `${label}+${uri}`;
}

/** What {@link labelUri} made of which label and URI, or `undefined` where it cannot have been it. */
export function splitLabel(
  uri: string,
): { readonly label: string; readonly uri: string } | undefined {
  const start = isUi(uri) ? UI.length : 0;
  const plus = uri.indexOf("+", start);
  if (plus < 0) return undefined;
  return { label: uri.slice(start, plus), uri: uri.slice(0, start) + uri.slice(plus + 1) };
}

function isUi(uri: string): boolean {
  return uri.slice(0, UI.length).toLowerCase() === UI;
}

function spellLabel(server: string, level: number): string {
  const safe = server.toLowerCase().replaceAll(/[^a-z0-9.-]/gu, "-");
  const label = /^[a-z]/.test(safe) ? safe : `s${safe}`;
  return level === 0 ? label : `${label}-${shortHash(JSON.stringify([server, level]))}`;
}
