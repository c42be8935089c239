import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { parseCommandLine } from "../../src/cli/args.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { SERVICE_GRAMMAR } from "./grammar.ts";
import { faults, packaged, parseUnit, valuesOf, withExamples } from "./unit-file.ts";

const UNITS = [
  { file: "mcproxy.service", manager: "--system", program: "/usr/local/bin/mcproxy" },
  { file: "mcproxy-user.service", manager: "--user", program: "%h/.local/bin/mcproxy" },
] as const;

/** What the comment in a unit says to put into a drop-in for a systemd before 253. */
function fallback(text: string): readonly string[] {
  const [, lines] = /^# {3}\[Service\]\n((?:# {3}\w+=.*\n)+)/m.exec(text) ?? [];
  assert.ok(lines !== undefined, "the comment on systemd before 253");
  return lines.trimEnd().split("\n").map((line) => line.slice(4));
}

/** The unit as a systemd of this version is to be given it. */
function forVersion(text: string, version: number): string {
  if (version >= 253) return text;
  return text.replace("Type=notify-reload", () => fallback(text).join("\n"));
}

/** The version of systemd-analyze, or undefined where there is none. */
function systemdVersion(): number | undefined {
  const { stdout } = spawnSync("systemd-analyze", ["--version"], { encoding: "utf8" });
  const version = /^systemd (\d+)/.exec(stdout ?? "")?.[1];
  return version === undefined ? undefined : Number(version);
}

/** Runs systemd-analyze over a unit whose program need not be installed here. */
function analyze(args: readonly string[], text: string, program: string) {
  const folder = mkdtempSync(join(tmpdir(), "mcproxy-unit-"));
  try {
    const path = join(folder, "mcproxy.service");
    writeFileSync(path, text.replace(program, "/bin/true"));
    const runtimeDirectory = join(folder, "run");
    mkdirSync(runtimeDirectory, { mode: 0o700 });
    const env = { ...process.env, XDG_RUNTIME_DIR: runtimeDirectory };
    const { status, stdout, stderr } = spawnSync(
      "systemd-analyze",
      [...args, path],
      { encoding: "utf8", env },
    );
    return { status, output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const version = systemdVersion();

for (const { file, manager, program } of UNITS) {
  const text = packaged(file);
  const unit = parseUnit(text);
  const service = (key: string) => valuesOf(unit, "Service", key);

  test(`${file} has no key or value that systemd does not know`, () => {
    assert.deepEqual(faults(unit, SERVICE_GRAMMAR), []);
    assert.deepEqual(faults(parseUnit(withExamples(text)), SERVICE_GRAMMAR), []);
    assert.deepEqual([...new Set(unit.map(({ section }) => section))], [
      "Unit",
      "Service",
      "Install",
    ]);
    for (const old of [252, 253]) {
      assert.deepEqual(faults(parseUnit(forVersion(text, old)), SERVICE_GRAMMAR), []);
    }
  });

  test(`${file} reports readiness and reloads, is watched, and is never given up`, () => {
    assert.deepEqual(service("Type"), ["notify-reload"]);
    // The service manager sends SIGHUP itself: with this it would send two.
    assert.deepEqual(service("ExecReload"), []);
    assert.deepEqual(service("NotifyAccess"), ["all"]);
    assert.deepEqual(service("WatchdogSec"), ["60"]);
    assert.deepEqual(service("Restart"), ["always"]);
    assert.deepEqual(valuesOf(unit, "Unit", "StartLimitIntervalSec"), ["0"]);
    // Longer than a stop takes: shutdownTimeout, 4 s, and what comes after it.
    assert.ok(Number(service("TimeoutStopSec")[0]) > 5);
    // What a warm start needs.
    assert.deepEqual(service("CacheDirectory"), ["mcproxy"]);
    // A JavaScript engine writes code: with this it would not start.
    assert.doesNotMatch(text, /^MemoryDenyWriteExecute=yes/m);
  });

  test(`${file} says what a systemd before 253 needs instead`, () => {
    assert.deepEqual(fallback(text), ["Type=notify", "ExecReload=/bin/kill -HUP $MAINPID"]);
  });

  test(`${file} starts the gateway with options there are`, () => {
    const [command, ...args] = service("ExecStart")[0]!.split(" ");
    assert.equal(command, program);
    const { command: { name }, options } = parseCommandLine(args, COMMANDS);
    assert.equal(name, "serve");
    assert.equal(
      options.config,
      manager === "--user" ? "%E/mcproxy/mcp-servers.json" : "/etc/mcproxy/mcp-servers.json",
    );
    assert.deepEqual(service("ConfigurationDirectory"), ["mcproxy"]);
  });

  // Registered only where it can run; the tests above look at the same units everywhere.
  if (version !== undefined) {
    test(`${file} is what systemd-analyze ${version} accepts without a word`, () => {
      for (const variant of [text, withExamples(text)]) {
        const verified = analyze([manager, "verify"], forVersion(variant, version), program);
        assert.deepEqual(verified, { status: 0, output: "" });
      }
    });
  }
}

test("mcproxy.service is hardened", () => {
  const unit = parseUnit(packaged("mcproxy.service"));
  for (
    const [key, value] of [
      ["DynamicUser", "yes"],
      ["StateDirectory", "mcproxy"],
      ["ProtectSystem", "strict"],
      ["ProtectHome", "yes"],
      ["PrivateTmp", "yes"],
      ["PrivateDevices", "yes"],
      ["NoNewPrivileges", "yes"],
      ["CapabilityBoundingSet", ""],
      ["RestrictNamespaces", "yes"],
      ["SystemCallFilter", "@system-service"],
      ["UMask", "0077"],
    ] as const
  ) assert.deepEqual(valuesOf(unit, "Service", key), [value], key);
});

test("mcproxy.service gives its servers a home that is not the directory of its state", () => {
  const unit = parseUnit(packaged("mcproxy.service"));
  const home = "/var/lib/mcproxy/home";
  assert.deepEqual(valuesOf(unit, "Service", "WorkingDirectory"), [`-${home}`]);
  assert.ok(valuesOf(unit, "Service", "Environment").includes(`HOME=${home}`));
  assert.deepEqual(valuesOf(unit, "Service", "ExecStartPre"), [`/bin/mkdir -p ${home}`]);
});

const DROP_IN = "mcproxy-sandbox.conf";

test(`${DROP_IN} loosens what a sandbox needs, and nothing else`, () => {
  const dropIn = parseUnit(packaged(DROP_IN));
  assert.deepEqual(faults(dropIn, SERVICE_GRAMMAR), []);
  assert.deepEqual(dropIn.map(({ section, key, value }) => [section, key, value]), [
    ["Service", "RestrictNamespaces", "user mnt pid ipc uts net cgroup"],
    ["Service", "SystemCallFilter", "@mount"],
    ["Service", "ProtectKernelTunables", "no"],
    ["Service", "ProtectKernelLogs", "no"],
    ["Service", "ProtectHostname", "no"],
  ]);
  // Each is something that the unit sets.
  const unit = parseUnit(packaged("mcproxy.service"));
  for (const { key } of dropIn) assert.equal(valuesOf(unit, "Service", key).length, 1, key);
});

if (version !== undefined) {
  test(`mcproxy.service with ${DROP_IN} is what systemd-analyze accepts without a word`, () => {
    const [, settings = ""] = packaged(DROP_IN).split("[Service]\n");
    const whole = forVersion(packaged("mcproxy.service"), version)
      .replace("\n[Install]", () => `${settings}\n[Install]`);
    const verified = analyze(["--system", "verify"], whole, "/usr/local/bin/mcproxy");
    assert.deepEqual(verified, { status: 0, output: "" });
  });
}

// `security --offline` came with 250.
if (version !== undefined && version >= 250) {
  test(`mcproxy.service is exposed to no more than 2.5 of 10, says systemd-analyze`, () => {
    const text = forVersion(packaged("mcproxy.service"), version);
    const args = ["security", "--offline=true", "--threshold=25", "--no-pager"];
    const { status, output } = analyze(args, text, "/usr/local/bin/mcproxy");
    assert.equal(status, 0, output);
    assert.match(output, /Overall exposure level for mcproxy\.service: \d/);
  });
}

test("faults() finds unknown keys, wrong values and repetitions", () => {
  const unit = parseUnit(
    "[Service]\nType=simple\nWatchDogSec=60\nKillMode=mixed\nKillMode=mixed\n",
  );
  assert.deepEqual(faults(unit, SERVICE_GRAMMAR), [
    "[Service] Type=simple: expected /^notify(-reload)?$/",
    "[Service] WatchDogSec=60: unknown key",
    "[Service] KillMode=mixed: set twice",
  ]);
  assert.throws(() => parseUnit("[Unit]\nno setting"), /Cannot read line 2/);
});
