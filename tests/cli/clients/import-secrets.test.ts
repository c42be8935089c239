import assert from "node:assert/strict";
import { test } from "node:test";
import { isSame } from "../../../src/cli/clients/import-source.ts";
import { CredentialNames, moveSecrets } from "../../../src/cli/clients/import-target.ts";

function move(entry: Readonly<Record<string, unknown>>, env: Record<string, string> = {}) {
  const names = new CredentialNames(new Map([["TAKEN", "by another"]]), env);
  const { entry: moved, count } = moveSecrets("my server", entry, names);
  return {
    entry: JSON.parse(JSON.stringify(moved)),
    count,
    added: Object.fromEntries(names.added),
  };
}

test("moveSecrets() leaves an entry without secrets as it is", () => {
  const entry = {
    command: "npx",
    args: ["-y", "@scope/server-1234567890abc", "--token-file", "--key", "/d"],
    env: {
      MODEL: "claude-3-5-sonnet-20241022",
      HOME_DIR: "/home/me/a-long-path-2024/data",
      TOKEN: "${TOKEN}",
      DEBUG_KEY: "true",
      N: 5,
    },
    url: "https://example.com/mcp?page=2",
  };
  const names = new CredentialNames(new Map(), {});
  assert.equal(moveSecrets("a", entry, names).entry, entry);
  assert.equal(names.added.size, 0);
});

test("moveSecrets() finds secrets in every place an entry has", () => {
  const { entry, count, added } = move({
    args: [
      "--api-key=k3y-in-option",
      "--password",
      "p4ss-word",
      "https://u:s3cret@h/x",
      "--header",
      "Authorization: Bearer h3ader-token",
    ],
    env: { TAKEN: "x", OPENAI_KEY: "0penai", PLAIN: "sk-1234567890abcdefghij" },
    headers: { Authorization: "Basic dTpw", "X-Trace": "on" },
    url: "https://h/mcp?token=qu3ry&page=2",
  });
  assert.deepEqual(entry, {
    args: [
      "--api-key=${MY_SERVER_API_KEY}",
      "--password",
      "${MY_SERVER_PASSWORD}",
      "https://u:${MY_SERVER_KEY_2}@h/x",
      "--header",
      "Authorization: Bearer ${MY_SERVER_TOKEN_2}",
    ],
    env: { TAKEN: "x", OPENAI_KEY: "${OPENAI_KEY}", PLAIN: "${PLAIN}" },
    headers: { Authorization: "Basic ${MY_SERVER_TOKEN}", "X-Trace": "on" },
    url: "https://h/mcp?token=${MY_SERVER_KEY}&page=2",
  });
  assert.equal(count, 8);
  assert.equal(Object.keys(added).length, 8);
  assert.equal(added["MY_SERVER_TOKEN_2"], "h3ader-token");
});

test("CredentialNames gives one value one name, and no taken name a second value", () => {
  const names = new CredentialNames(new Map([["A", "one"]]), { B: "inherited", C: "three" });
  assert.equal(names.nameOf("one", ["a"]), "A");
  assert.equal(names.nameOf("two", ["a", "x-a"]), "X_A");
  assert.equal(names.nameOf("two", ["b"]), "B_2");
  assert.equal(names.nameOf("three", ["C"]), "C");
  assert.equal(names.nameOf("four", ["3d!"]), "_3D");
  assert.deepEqual([...names.added.keys()], ["X_A", "B_2", "C", "_3D"]);
});

test("isSame() takes a variable of ours for any text, and nothing else", () => {
  const theirs = { command: "a", args: ["--k=v"], env: { K: "secret" } };
  assert.equal(isSame({ command: "a", args: ["--k=${K}"], env: { K: "${K}" } }, theirs), true);
  assert.equal(isSame({ ...theirs, timeout: 5, disabled: true }, theirs), true);
  assert.equal(isSame({ ...theirs, args: [] }, theirs), false);
  assert.equal(isSame({ ...theirs, env: { K: "other" } }, theirs), false);
  assert.equal(isSame({ ...theirs, env: { K: "pre-${K}" } }, theirs), false);
  assert.equal(isSame({ ...theirs, command: "a${X}a" }, theirs), false);
  assert.equal(isSame({ command: "a", env: {} }, { command: "a" }), true);
});
