import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const UNIT = readFileSync(join(ROOT, "packaging/mcproxy.service"), "utf8");

test("the systemd unit reports readiness, is watched, and is hardened", () => {
  for (
    const line of [
      "Type=notify",
      "NotifyAccess=all",
      "WatchdogSec=60",
      "Restart=always",
      "DynamicUser=yes",
      "ProtectSystem=strict",
      "NoNewPrivileges=yes",
    ]
  ) assert.ok(UNIT.split("\n").includes(line), line);
  // A JavaScript engine writes code: with this it would not start.
  assert.doesNotMatch(UNIT, /^MemoryDenyWriteExecute=yes/m);
});

test("the systemd unit is what systemd-analyze accepts, where there is one", () => {
  const found = spawnSync("systemd-analyze", ["--version"]);
  if (found.error !== undefined) {
    // Not a Linux with systemd: what can be checked without it is checked above and here.
    assert.match(UNIT, /^\[Unit\]\n[\s\S]*^\[Service\]\n[\s\S]*^\[Install\]\n/m);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "mcproxy-unit-"));
  try {
    const path = join(folder, "mcproxy.service");
    // The program need not be installed where this runs.
    writeFileSync(path, UNIT.replace("/usr/local/bin/mcproxy", "/bin/true"));
    execFileSync("systemd-analyze", ["verify", path], { stdio: "pipe" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("no lock file names a registry host or a path of some machine", () => {
  const lock = readFileSync(join(ROOT, "deno.lock"), "utf8");
  assert.doesNotMatch(lock, /https?:\/\//);
  assert.doesNotMatch(lock, /\/(?:home|root|Users)\//);
});
