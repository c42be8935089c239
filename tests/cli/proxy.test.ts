import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { directLoopback } from "../../src/app/io.ts";
import { viaProxy } from "../../src/upstream/transport/http-client.ts";
import { cacheEnv } from "../support/cache.ts";
import { startHttpFake } from "../support/fakes/http-server.ts";
import { ON_BUN, runProgram } from "../support/program.ts";
import { configFile } from "./support.ts";

test("directLoopback() keeps this machine off a proxy, and what else is kept off it", () => {
  const own = "localhost,127.0.0.1,::1,[::1]";
  const both = (value: string) => ({ NO_PROXY: value, no_proxy: value });
  assert.deepEqual(directLoopback({}), {});
  assert.deepEqual(directLoopback({ HTTP_PROXY: "" }), {});
  assert.deepEqual(directLoopback({ https_proxy: "http://p" }), both(own));
  assert.deepEqual(
    directLoopback({ ALL_PROXY: "http://p", no_proxy: ".corp" }),
    both(`.corp,${own}`),
  );
  assert.deepEqual(
    directLoopback({ HTTP_PROXY: "http://p", NO_PROXY: "a", no_proxy: "b,c" }),
    both(`a,b,c,${own}`),
  );
  assert.deepEqual(directLoopback({ HTTP_PROXY: "http://p", NO_PROXY: "*" }), {});
});

test("viaProxy() names the proxy of an address, without its password", () => {
  const env = { HTTPS_PROXY: "http://me:secret@p:3128", no_proxy: "near, .corp,*.lab" };
  const via = (url: string) => viaProxy(new URL(url), env);
  assert.equal(via("https://far.example/mcp"), " through the proxy http://p:3128");
  for (const host of ["near", "a.corp", "corp", "b.lab"]) assert.equal(via(`https://${host}/`), "");
  assert.equal(via("http://far.example/mcp"), "");
  assert.equal(viaProxy(new URL("https://x/"), { ...env, NO_PROXY: "*" }), "");
  for (const name of ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"]) {
    const given = { [name]: "me:secret@p:3128" };
    assert.equal(viaProxy(new URL("https://x/"), given), " through the proxy p:3128");
  }
});

// The environment of a proxy is read once in a process, so it takes one of its own.
for (const mode of ON_BUN ? [] : ["deno", "bun"] as const) {
  test(`${mode}: loopback servers need no proxy, and a failure names the one that was used`, async () => {
    const fake = await startHttpFake({ tools: ["echo"] });
    const file = await configFile({
      mcpServers: { near: { url: fake.url }, far: { url: "http://far.invalid/mcp" } },
    });
    try {
      // Nothing listens there.
      const proxies = { HTTP_PROXY: "http://127.0.0.1:9", http_proxy: "http://127.0.0.1:9" };
      const env = { ...process.env, ...cacheEnv(), ...proxies, NO_PROXY: "", no_proxy: "" };
      const args = ["check", "--connect", "--json", "--config", file.path];
      const { code, stdout, stderr } = await runProgram(mode, args, { env });
      assert.equal(code, 1, stderr);
      assert.match(
        stdout + stderr,
        /could not be reached for .* through the proxy http:\/\/127\.0\.0\.1:9: /,
      );
      assert.doesNotMatch(stdout + stderr, /Server \\?"near\\?" (could|answered)/);
      assert.ok(fake.requests.items.length > 0);
    } finally {
      await Promise.all([fake.close(), file.close()]);
    }
  });
}
