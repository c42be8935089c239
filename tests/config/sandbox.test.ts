/** `sandbox` and `image` of a server, as the configuration has them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIssue } from "../../src/config/issue.ts";
import { parseConfig } from "../../src/config/load.ts";
import { loadOptions } from "../../src/config/schema.ts";

await loadOptions("sandbox");

/** The server of a file, and what is told of it. */
function read(server: unknown, env: Record<string, string> = {}) {
  const text = JSON.stringify({ mcpServers: { x: server } });
  const result = parseConfig(text, { file: "s.json", env });
  const config = result.ok ? result.config.servers.get("x") : undefined;
  const told = (result.ok ? result.warnings : result.issues).map((issue) => formatIssue(issue));
  const target = config?.instances[0];
  return { config, target, told: told.join("\n"), ok: result.ok };
}

const OPEN = { read: [], write: [], network: false };

for (
  const [given, expected] of [
    [true, OPEN],
    [false, undefined],
    [{}, OPEN],
    [{ read: ["/a"], network: true }, { ...OPEN, read: ["/a"], network: true }],
    [{ write: ["${HOME}/out"] }, { ...OPEN, write: ["/home/me/out"] }],
  ] as const
) {
  test(`"sandbox": ${JSON.stringify(given)} is taken`, () => {
    const { target, told } = read({ command: "x", sandbox: given }, { HOME: "/home/me" });
    assert.equal(told, "");
    assert.ok(target?.kind === "stdio");
    assert.deepEqual(target.sandbox, expected);
    assert.deepEqual(target.hidden, expected && ["s.json"]);
  });
}

for (
  const [server, message] of [
    [{ command: "x", sandbox: "yes" }, /found "yes", expected true, or an object with "read"/],
    [{ command: "x", sandbox: null }, /expected true, or an object/],
    [{ command: "x", sandbox: [] }, /expected true, or an object/],
    [{ command: "x", sandbox: { raed: ["/a"] } }, /unknown key "raed" \(did you mean "read"\?\)/],
    [{ command: "x", sandbox: { read: ["a"] } }, /found "a", expected an absolute path/],
    [{ command: "x", sandbox: { read: "/a" } }, /expected an array of strings/],
    [{ command: "x", sandbox: { network: "no" } }, /expected true or false/],
    // Half of it is ours: what is asked for is not passed over.
    [{ command: "x", sandbox: { read: ["/a"], filesystem: {} } }, /unknown key "filesystem"/],
    [{ url: "https://x.example/mcp", sandbox: true }, /found "sandbox" without "command"/],
    [{ image: "x", sandbox: true }, /found "sandbox" without "command"/],
    [{ command: "x", network: true }, /found "network" without "image".*put it into "sandbox"/],
    [{ command: "x", mounts: ["/a:/a"] }, /found "mounts" without "image"/],
    [{ command: "x", image: "x" }, /found both "image" and "command", expected one of them/],
    [{ image: "x", url: "https://x.example" }, /found both "image" and "url"/],
    [{ image: "x", type: "http" }, /found "http" beside "image", expected "stdio"/],
    [{ image: "-v" }, /found "-v", expected the name of an image/],
    [{ image: "a b" }, /expected the name of an image/],
    [{ image: "x", mounts: ["a/b:/c"] }, /found "a\/b:\/c", expected a mount such as/],
    [{ image: "x", mounts: ["--privileged"] }, /expected a mount/],
    [{ image: "x", mounts: ["/a"] }, /expected a mount/],
    [{ image: "x", mounts: ["/a:b"] }, /expected a mount/],
    [{ image: "x", mounts: ["/a:/b:exec"] }, /expected a mount/],
    [{ image: "x", mounts: ["/a:/b:ro:/c"] }, /expected a mount/],
  ] as const
) {
  test(`${JSON.stringify(server)} is refused`, () => {
    const { ok, told } = read(server);
    assert.ok(!ok);
    assert.match(told, message);
  });
}

test("an image is a program of podman's, with all it is given", () => {
  const { target, told } = read({
    image: "docker.io/mcp/fetch:1@sha256:00",
    args: ["a"],
    env: { A: "1" },
    mounts: ["/a b:/b", "name:/c:ro", "/d:/e:rw,Z"],
    network: true,
    cwd: "/x",
  });
  assert.match(told, /"cwd" has no effect beside "image"/);
  assert.ok(target?.kind === "stdio");
  const { command, args, image, hidden } = target;
  assert.deepEqual({ command, args, image, hidden }, {
    command: "docker.io/mcp/fetch:1@sha256:00",
    args: ["a"],
    image: { mounts: ["/a b:/b", "name:/c:ro", "/d:/e:rw,Z"], network: true },
    hidden: ["s.json"],
  });
});

test("every change of what is let through is another connection", () => {
  const keys = [
    { command: "x" },
    { command: "x", sandbox: true },
    { command: "x", sandbox: { network: true } },
    { command: "x", sandbox: { read: ["/a"] } },
    { image: "x" },
    { image: "x", network: true },
    { image: "x", mounts: ["/a:/a"] },
  ].map((server) => read(server).config?.key);
  assert.equal(new Set(keys).size, keys.length);
  assert.ok(!keys.includes(undefined));
});

test("a server whose sandbox needs a variable that is not set is not started without it", () => {
  const { config } = read({ command: "x", sandbox: { read: ["${NOWHERE}"] } });
  assert.match(config?.problem?.message ?? "", /NOWHERE/);
});

test("what VS Code means by its sandbox is passed over, with a warning", () => {
  for (
    const theirs of [{ filesystem: { allowWrite: ["."] } }, { network: { allowedDomains: [] } }]
  ) {
    const { target, told } = read({ command: "x", sandbox: theirs, sandboxEnabled: true });
    assert.match(told, /"sandbox" is a setting of other clients and ignored here.*own rights/);
    assert.ok(target?.kind === "stdio" && target.sandbox === undefined);
  }
});
