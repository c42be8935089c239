/** The page about the gateway: a shell without data, and its files. Loaded when somebody opens it. */

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { ASSETS, SHELL } from "./assets.ts";

interface Asset {
  readonly text: string;
  /** The same as browsers take it. */
  readonly packed: Uint8Array<ArrayBuffer>;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
}

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

/** Nothing but the page's own files runs, nothing but its gateway is asked, nobody frames it. */
function contentPolicy(importMap: string): string {
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${createHash("sha256").update(importMap).digest("base64")}'`,
    "style-src 'self'",
    "img-src 'self' data:",
    "media-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

function assetOf(name: string, text: string, headers = {}): Asset {
  return {
    text,
    packed: gzipSync(text),
    etag: `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"`,
    headers: {
      "content-type": TYPES[name.split(".").at(-1)!]!,
      // Asked for again each time, and answered without a body where nothing has changed.
      "cache-control": "no-cache",
      "x-content-type-options": "nosniff",
      "cross-origin-resource-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "vary": "accept-encoding",
      ...headers,
    },
  };
}

const IMPORT_MAP = /<script type="importmap">([\s\S]*?)<\/script>/.exec(SHELL)![1]!;

const SHELL_ASSET = assetOf("index.html", SHELL, {
  "content-security-policy": contentPolicy(IMPORT_MAP),
  // Whoever asks for JSON there is answered with that.
  "vary": "accept, accept-encoding",
});

const assets = new Map<string, Asset>(
  Object.entries(ASSETS).map(([name, text]) => [name, assetOf(name, text as string)]),
);

/** Answers with a file of the page; without a name, with its shell. Undefined: there is no such. */
export function dashboardFile(request: Request, name?: string): Response | undefined {
  const asset = name === undefined ? SHELL_ASSET : assets.get(name);
  if (asset === undefined) return undefined;
  const headers = { ...asset.headers, etag: asset.etag };
  const known = request.headers.get("if-none-match")?.split(/\s*,\s*/) ?? [];
  if (known.some((etag) => etag.replace(/^W\//, "") === asset.etag)) {
    return new Response(null, { status: 304, headers });
  }
  const isPacked = /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "");
  return isPacked
    ? new Response(asset.packed, { headers: { ...headers, "content-encoding": "gzip" } })
    : new Response(asset.text, { headers });
}
