/** Secrets from every place they can come from, and none of them in anything that is told. */

import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { run } from "../cli/support.ts";
import { inDirectory } from "../config/temp.ts";
import { HttpClient } from "../support/clients/http.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Mode, ON_BUN, runProgram } from "../support/program.ts";
import { eventually } from "../support/inbox.ts";
import {
  type CanaryConfig,
  canaryConfig,
  FORBIDDEN,
  MARK,
  Parrot,
  WORKING,
} from "./canary-house.ts";

// A process is the same whoever starts it: once is enough.
const MODES: readonly Mode[] = ON_BUN ? ["memory"] : ["deno", "bun"];

type Run = (args: readonly string[]) => Promise<{
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}>;

interface World {
  readonly directory: string;
  readonly config: CanaryConfig;
  readonly env: Readonly<Record<string, string>>;
  /** Runs a command line in this process. */
  readonly inside: Run;
  /** Runs it in a process of its own, where the mode is one. */
  readonly outside: Run;
}

function inWorld(mode: Mode, body: (world: World) => Promise<void>): Promise<void> {
  return inDirectory(async (directory) => {
    const parrot = await Parrot.start();
    try {
      const { config, env: given } = await canaryConfig(directory, parrot.origin);
      const env = { ...given, CACHE_DIRECTORY: join(directory, "cache"), NO_COLOR: "1" };
      const all = { ...process.env, ...env };
      const inside: Run = (args) => run(args, { env: all, cwd: directory });
      const outside: Run = (args) =>
        mode === "memory" ? inside(args) : runProgram(mode, args, { env: all });
      await body({ directory, config, env, inside, outside });
    } finally {
      await parrot.close();
    }
  });
}

/** @throws {AssertionError} with what stands around the first secrets */
function assertSilent(text: string, where: string): void {
  const found = [...text.matchAll(new RegExp(FORBIDDEN, "gi"))]
    .map(({ index }) => text.slice(Math.max(0, index - 160), index + 60));
  assert.deepEqual(found.slice(0, 5), [], `${where} tells a secret`);
}

for (const mode of MODES) {
  for (const format of ["text", "json"]) {
    test(`a gateway (${mode}, ${format} log) tells no secret`, () =>
      inWorld(mode, async ({ config, env, inside }) => {
        const gateway = await startGateway({
          mode,
          config,
          env,
          args: ["--log-format", format, "--log-level", "trace"],
        });
        try {
          await gateway.ready();
          await assertAnswersSilent(gateway);
          await assertCallsSilent(gateway);
          for (const flags of [[], ["--json"]]) {
            for (const command of ["status", "list"]) {
              const url = command === "status" ? gateway.base : gateway.url;
              const { stdout, stderr } = await inside([command, "--url", url, ...flags]);
              assert.match(stdout, /unauthorized/, stderr);
              assertSilent(stdout + stderr, `${command} ${flags}`);
            }
          }
          await assertSearchSilent(gateway);
          await assertReloadSilent(gateway, config);
          await assertAnswersSilent(gateway);
        } finally {
          await gateway.stop();
        }
        // The servers' own words have arrived, or there would be nothing to hide.
        assert.ok(gateway.logs.items.some((line) => line.includes("--api-key=")), "no stderr");
        assertSilent(gateway.logs.items.join("\n"), "the log");
        const names = await readdir(env["CACHE_DIRECTORY"]!, { recursive: true });
        assert.ok(names.some((name) => name.endsWith(".lists")), names.join());
        assertSilent(names.join("\n"), "a file name of the cache");
      }));
  }

  test(`the commands (${mode}) tell no secret`, () =>
    inWorld(mode, async ({ directory, config, outside }) => {
      const path = join(directory, "mcp-servers.json");
      await writeFile(path, JSON.stringify(config));
      const commands = [["check"], ["check", "--connect"], ["list"], ["call", "works_die"]];
      await Promise.all(
        [...commands, ["call", "web_broken"]].flatMap((words) =>
          [[], ["--json"]].map(async (flags) => {
            const args = [...words, ...flags, "--config", path];
            const { code, stdout, stderr } = await outside(args);
            assert.equal(code, words.length === 1 && words[0] === "check" ? 0 : 1, stdout + stderr);
            assert.ok(stdout.length + stderr.length > 20, stdout + stderr);
            assertSilent(stdout + stderr, args.join(" "));
            // Those that fail have told all they know, or there would be nothing to hide.
            const told = stdout.match(/LITERAL[\\":]+\[redacted/g) ?? [];
            if (words.includes("--connect")) assert.ok(told.length >= 3, stdout);
          })
        ),
      );
    }));
}

async function assertAnswersSilent({ base }: Gateway): Promise<void> {
  for (const path of ["/api/status", "/health", "/readyz", "/livez", `/${MARK.slice(0, 3)}`]) {
    const response = await fetch(base + path);
    const headers = [...response.headers].join("\n");
    assertSilent(`${headers}\n${await response.text()}`, path);
  }
}

/** Calls of servers that fail, whose errors are the gateway's own words. */
async function assertCallsSilent(gateway: Gateway): Promise<void> {
  const client = await HttpClient.connect(gateway.url);
  await client.request("logging/setLevel", { level: "debug" });
  const listed = await client.request("tools/list");
  const names = listed.json.result.tools.map((tool: { name: string }) => tool.name);
  for (const name of ["works_die", "web_broken"]) assert.ok(names.includes(name), names.join());
  assertSilent(listed.text, "tools/list");
  for (const name of ["works_die", "web_broken", "crash_any", "refused_any"]) {
    const { text: raw, json } = await client.request("tools/call", { name, arguments: {} });
    assert.ok(json.error !== undefined || json.result.isError, raw);
    assertSilent(raw, `a call of ${name}`);
  }
  const { servers } = await gateway.status();
  for (const { name } of servers.filter(({ name }) => !WORKING.includes(name))) {
    const direct = await HttpClient.connect(gateway.serverUrl(name));
    assertSilent(direct.initialized!.text, `initialize of ${name}`);
    const { text: raw } = await direct.request("tools/list");
    assertSilent(raw, `tools/list of ${name}`);
  }
  const works = await gateway.waitForServer("works", ({ state }) => state === "ready");
  assert.equal(works.lastError === undefined, false);
  await client.request("tools/call", { name: "works_log", arguments: {} });
}

/** Searches that ask the endpoint of embeddings, which fails. */
async function assertSearchSilent(gateway: Gateway): Promise<void> {
  const client = await HttpClient.connect(`${gateway.base}/gated/mcp`);
  for (const query of ["read a file", "write a note", "list users"]) {
    const params = { name: "discover_tools", arguments: { query } };
    const { text } = await client.request("tools/call", params);
    assertSilent(text, `discover_tools ${query}`);
  }
  // Its words have come, or there would be nothing to hide.
  await gateway.waitForLog(/by words alone: parrot at 127\.0\.0\.1/);
}

/** What a reload refuses, and what it accepts. */
async function assertReloadSilent(
  gateway: Gateway,
  config: CanaryConfig,
): Promise<void> {
  const broken = [
    `{ "mcpServers": { "x": { "command": "node", "env": { "KEY": "${MARK}-syntax" } } }`,
    `{ "mcpServers": { "x": { "command": "node", "env": { "KEY": ["${MARK}-list"] } } } }`,
    `{ "mcpServers": { "x": { "url": "ftp://me:${MARK}-url@h/?token=${MARK}-query" } } }`,
    `{ "mcpServers": { "x": { "command": 5, "args": ["--token", "${MARK}-args"] } } }`,
    `{ "mcpServers": {}, "embeddings": "https://h/?key=${MARK}-text" }`,
    `{ "mcpServers": {}, "embeddings": { "url": "ftp://me:${MARK}-url@h/?key=${MARK}-query" } }`,
    `{ "mcpServers": {}, "embeddings": { "url": "${MARK}-login@h", "apiKey": ["${MARK}-key"] } }`,
  ];
  for (const text of broken) {
    const before = (await gateway.status()).config.error;
    await writeFile(gateway.configPath, text);
    const { config: state } = await eventually(
      () => gateway.status(),
      ({ config }) => config.error !== null && config.error !== before,
      "a refused configuration",
    );
    assertSilent(state.error!, "the error of a reload");
    await assertAnswersSilent(gateway);
  }
  // The secrets of a server that is gone are still in what it says last.
  const { embeddings: _, ...rest } = config;
  const { works, web } = config.mcpServers;
  await writeFile(gateway.configPath, JSON.stringify({ ...rest, mcpServers: { web, works } }));
  await eventually(
    () => gateway.status(),
    ({ config: { error }, servers }) => error === null && servers.length === 2,
    "a reloaded configuration",
  );
}
