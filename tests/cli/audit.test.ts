/** `mcproxy audit` on files that an audit has written. */

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { AuditFile, type AuditFileParts } from "../../src/gateway/access/audit-file.ts";
import { inDirectory } from "../config/temp.ts";
import { run } from "./support.ts";

const quiet = () => {};
const log = { info: quiet, warning: quiet, error: quiet } as unknown as AuditFileParts["log"];

const FACTS = [
  { event: "call", who: "alice", client: "c1", server: "gh", name: "create", ms: 3, outcome: "ok" },
  { event: "call", who: "bob", server: "gh", name: "red\u001b[31m\u202e", ms: 1, outcome: "error" },
  { event: "denied", who: "bob", address: "192.0.2.1", name: "GET /api/status", outcome: 403 },
  { event: "auth-failed", address: "192.0.2.1", outcome: "9 in a minute" },
];

/** Two lines in the file that was moved away, and two in the one that is written. */
async function withFiles(
  use: (paths: { now: string; old: string; config: string }) => Promise<void>,
) {
  await inDirectory(async (directory) => {
    const now = join(directory, "audit.jsonl");
    const file = new AuditFile({ path: now, log, maxSize: 300 });
    for (const [at, fact] of FACTS.entries()) {
      file.add(`2026-11-${10 + at}T12:00:00.000Z`, fact);
      if (at % 2 === 1) await file.flush();
    }
    await file.close();
    const config = join(directory, "mcp-servers.json");
    await writeFile(config, JSON.stringify({ mcpServers: {}, audit: { file: now } }));
    await writeFile(join(directory, "audit.jsonl.bak"), "not one of them");
    await use({ now, old: `${now}.1`, config });
  });
}

test("audit shows the files of the configuration from the oldest line on, filtered", () =>
  withFiles(async ({ config, now }) => {
    const shown = await run(["audit", "--config", config]);
    assert.equal(shown.code, 0, shown.stderr);
    assert.deepEqual(shown.stdout.trimEnd().split("\n"), [
      "2026-11-10T12:00:00.000Z  call  alice  gh  create  ok  3 ms",
      "2026-11-11T12:00:00.000Z  call  bob  gh  red[31m  error  1 ms",
      "2026-11-12T12:00:00.000Z  denied  bob  GET /api/status  403",
      "2026-11-13T12:00:00.000Z  auth-failed  192.0.2.1  9 in a minute",
    ]);
    const count = async (...args: readonly string[]) => {
      const { stdout } = await run(["audit", "--config", config, ...args]);
      return stdout.split("\n").length - 1;
    };
    assert.equal(await count("--who", "bob"), 2);
    assert.equal(await count("--who", "bob", "--event", "call"), 1);
    assert.equal(await count("--since", "2026-11-12"), 2);
    assert.equal(await count("--since", "2099-01-01"), 0);
    const json = await run(["audit", now, "--json", "--event", "denied"]);
    const { t: _, n, prev, ...said } = JSON.parse(json.stdout);
    assert.deepEqual(said, FACTS[2]);
    assert.deepEqual([n, prev.length], [3, 64]);
    assert.match(
      (await run(["audit", "--since", "soon", now])).stderr,
      /Cannot use --since "soon"/,
    );
  }));

test("audit verify names the first line that is not as it was written", () =>
  withFiles(async ({ now, old, config }) => {
    const good = await run(["audit", "verify", now, old]);
    assert.equal(good.code, 0, good.stdout);
    assert.match(
      good.stdout,
      /^4 lines, number 1 to 4, each as it was written\nThe last comes to /,
    );
    assert.equal((await run(["audit", "verify", "--config", config])).stdout, good.stdout);
    const head = /comes to ([0-9a-f]{64})/.exec(good.stdout)![1]!;
    assert.equal((await run(["audit", "verify", now, old, "--head", head])).code, 0);
    const part = await run(["audit", "verify", now]);
    assert.match(part.stdout, /What was before number 3 is in none of these files/);

    const text = await readFile(now, "utf8");
    await writeFile(now, text.replace("9 in a minute", "1 in a minute"));
    const edited = await run(["audit", "verify", now, old, "--head", head]);
    assert.deepEqual([edited.code, edited.stdout.startsWith(`${now}:2: the log names`)], [1, true]);
    await writeFile(now, text.replace('"denied"', '"called"'));
    const changed = await run(["audit", "verify", old, now, "--json"]);
    const { ok, broken } = JSON.parse(changed.stdout);
    assert.deepEqual([changed.code, ok, broken.file, broken.line], [1, false, now, 1]);
    await writeFile(now, text.slice(0, -5));
    const cut = await run(["audit", "verify", old, now]);
    assert.equal(cut.stdout, `${now}:2: it is cut off or damaged\n`);
    const shown = await run(["audit", now]);
    assert.match(shown.stderr, /^1 line cannot be read/);
  }));

test("audit says what is missing", () =>
  inDirectory(async (directory) => {
    const config = join(directory, "mcp-servers.json");
    await writeFile(config, '{"mcpServers": {}}');
    const none = await run(["audit", "--config", config]);
    assert.match(none.stderr, /Cannot show the audit: the configuration has no "audit"/);
    assert.match((await run(["audit", "verify", "--config", config])).stderr, /has no "audit"/);
    const lost = await run(["audit", "verify", join(directory, "none")]);
    assert.deepEqual([lost.code, /Cannot read the audit: ENOENT/.test(lost.stderr)], [1, true]);
  }));
