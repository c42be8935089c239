/** The files of the dashboard as they are served: what may run, what is found, how much it is. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { ASSETS, SHELL } from "../../../src/front/dashboard/assets.ts";
import { dashboardFile } from "../../../src/front/dashboard/dashboard.ts";

const get = (name?: string, headers = {}) =>
  dashboardFile(new Request("http://localhost/", { headers }), name);

const imports =
  JSON.parse(/<script type="importmap">([\s\S]*?)<\/script>/.exec(SHELL)![1]!).imports;

test("the shell may run its own files and nothing else", () => {
  const { headers } = get()!;
  assert.equal(headers.get("content-type"), "text/html; charset=utf-8");
  const [, inline] = /<script type="importmap">([\s\S]*?)<\/script>/.exec(SHELL)!;
  const hash = createHash("sha256").update(inline!).digest("base64");
  assert.equal(
    headers.get("content-security-policy"),
    `default-src 'none'; script-src 'self' 'sha256-${hash}'; style-src 'self'; img-src 'self' data:; ` +
      "media-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
      "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  );
  // What the policy would forbid anyway.
  assert.doesNotMatch(SHELL, /\son\w+=|style=|https?:\/\//);
});

test("each file is served with its type and a tag, and not again while it is known", async () => {
  for (const name of [undefined, ...Object.keys(ASSETS)]) {
    const first = get(name)!;
    assert.equal(first.status, 200);
    assert.match(first.headers.get("content-type")!, /^(text\/(html|css|javascript)|image\/svg)/);
    assert.equal(first.headers.get("x-content-type-options"), "nosniff");
    assert.equal(first.headers.get("cross-origin-resource-policy"), "same-origin");
    assert.ok((await first.text()).length > 0, `${name}`);
    const etag = first.headers.get("etag")!;
    const again = get(name, { "if-none-match": `"other", W/${etag}` })!;
    assert.equal(again.status, 304, `${name}`);
    assert.equal(await again.text(), "");
    assert.equal(get(name, { "if-none-match": '"other"' })!.status, 200);
  }
  assert.equal(get("nothing.js"), undefined);
  assert.equal(get("__proto__"), undefined);
});

/** A file as browsers take it. */
async function packed(name?: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = get(name, { "accept-encoding": "gzip, br" })!;
  assert.equal(response.headers.get("content-encoding"), "gzip");
  const bytes = new Uint8Array(await response.arrayBuffer());
  assert.equal(gunzipSync(bytes).toString(), await get(name)!.text());
  return bytes;
}

test("whatever a module imports is there, and all of it is small", async () => {
  let bytes = (await packed()).length;
  for (const [name, text] of Object.entries(ASSETS) as [string, string][]) {
    bytes += (await packed(name)).length;
    if (!name.endsWith(".js")) continue;
    const found = text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)"([^"]+)"/g);
    for (const [, specifier = ""] of found) {
      const path = specifier.startsWith("./") ? specifier.slice(2) : imports[specifier]?.slice(5);
      assert.ok(path in ASSETS, `${name} imports ${specifier}`);
    }
  }
  for (const path of Object.values<string>(imports)) assert.ok(path.slice(5) in ASSETS, path);
  assert.ok(bytes <= 150_000, `${bytes} bytes`);
});

test("no module makes HTML of text", () => {
  for (const [name, text] of Object.entries(ASSETS) as [string, string][]) {
    // What Preact can do with such a member, nobody asks it to.
    if (imports[name] !== undefined || name === "preact.js") continue;
    assert.doesNotMatch(
      text,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/,
      name,
    );
  }
});
