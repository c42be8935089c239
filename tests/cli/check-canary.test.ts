/**
 * One secret in every place a configuration may have one, in configurations that load and in ones
 * with something wrong beside each secret: none of it may be told.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { formatIssue } from "../../src/config/issue.ts";
import { loadConfig } from "../../src/config/load.ts";
import { collectSecrets } from "../../src/config/secrets.ts";
import { createRedactor } from "../../src/lib/secrets.ts";
import { inDirectory, writeFiles } from "../config/temp.ts";
import { run } from "./support.ts";

/** A secret whose name says where it was put. */
function canary(place: string): string {
  return `c4n4ry-${place}-5f2c`;
}

const CANARY = /c4n4ry/;

const ENV = {
  PATH: "/usr/bin:/bin",
  FROM_ENV: canary("environment"),
  INPUT_KEY: canary("input"),
};

const FILES = {
  "token": canary("file"),
  "env-file": `SECRET=${canary("env-file")}`,
  "credentials.json": JSON.stringify({
    CREDENTIAL: canary("credential"),
    FORMAT: "${FROM_ENV}",
    UNUSED: canary("unused"),
  }),
  "creds/SYSTEMD": canary("systemd"),
};

/** Every way to bring a secret in, as a text. */
const SECRETS: Readonly<Record<string, string>> = {
  literal: canary("literal"),
  environment: "${FROM_ENV}",
  explicit: "${env:FROM_ENV}",
  fallback: `\${NONE:-${canary("fallback")}}`,
  file: "${file:token}",
  command: `\${cmd:echo ${canary("command")}}`,
  input: "${input:key}",
  credential: "${CREDENTIAL}",
  systemd: "${SYSTEMD}",
};

/** Servers with the text in every place that a secret may be in. */
function serversWith(name: string, text: string): Record<string, unknown> {
  return {
    [`${name}-stdio`]: {
      command: "node",
      args: ["--token", text, `--api-key=${text}`, `https://me:${text}@h/`],
      env: { KEY: text },
      envFile: "env-file",
    },
    [`${name}-http`]: {
      url: `https://me:${text}@example.com/p?token=${text}`,
      headers: { "X-Key": text },
      auth: { type: "bearer", token: text },
    },
    [`${name}-basic`]: { url: "https://h/", auth: { type: "basic", credentials: `me:${text}` } },
  };
}

/** The same with a mistake at each secret. */
function brokenWith(text: string): readonly unknown[] {
  return [
    { command: 5, args: ["--token", text, 7], env: { KEY: text, B: 1 } },
    { command: "x", args: text, env: text, cwd: [text] },
    { command: "x", env: { [`A=${text.slice(0, 0)}`]: text } },
    { command: "x", envFile: 5, args: [text, `\${BROKEN ${text}`] },
    { command: "x", timeout: text },
    { url: text },
    { url: `ftp://me:${text}@h/?token=${text}` },
    { urls: [`https://me:${text}@h/`, `nowhere ${text}`] },
    { url: "https://h/", headers: { "a b": text }, auth: { type: text } },
    { url: "https://h/", headers: text, auth: text },
    { url: "https://h/", auth: { type: "basic", credentials: text } },
    { url: "https://h/", auth: { type: "basic", token: text, other: text } },
    { url: "https://h/", headers: { Authorization: text }, auth: { type: "bearer", token: text } },
    { url: "https://h/", transport: text, protocol: text, sharing: text },
    [text],
    text,
  ];
}

async function inCanaryDirectory(
  body: (directory: string, load: (config: unknown) => Promise<string>) => Promise<void>,
): Promise<void> {
  await inDirectory(async (directory) => {
    await writeFiles(directory, FILES);
    await body(directory, async (config) => {
      await writeFiles(directory, { "c.json": JSON.stringify(config) });
      return join(directory, "c.json");
    });
  });
}

function environment(directory: string): Record<string, string> {
  return {
    ...ENV,
    MCP_CREDENTIALS_PATH: join(directory, "credentials.json"),
    CREDENTIALS_DIRECTORY: join(directory, "creds"),
  };
}

test("loadConfig() knows every secret it brought in, so that logs can leave them out", () =>
  inCanaryDirectory(async (directory, write) => {
    const mcpServers = Object.assign(
      {},
      ...Object.entries(SECRETS).map(([name, text]) => serversWith(name, text)),
    );
    const path = await write({ allowCommands: true, mcpServers });
    const result = await loadConfig(path, { env: environment(directory) });
    assert.ok(result.ok, JSON.stringify(result));
    const { config } = result;
    assert.equal(config.servers.size, 3 * Object.keys(SECRETS).length);
    for (const { problem } of config.servers.values()) assert.equal(problem, undefined);
    const redactor = createRedactor(collectSecrets(config));
    const places = ["literal", "environment", "fallback", "file", "command", "input", "credential"];
    const quoted = (place: string) => redactor.text(`error: ${canary(place)} was refused`);
    assert.doesNotMatch(quoted("env-file"), CANARY);
    for (const place of [...places, "systemd"]) {
      assert.doesNotMatch(quoted(place), CANARY, place);
      assert.doesNotMatch(redactor.text(btoa(`me:${canary(place)}`)), /YzRuNHJ5/, place);
    }
    const targets = [...config.servers.values()].map(({ instances }) => instances[0]!);
    const shown = redactor.text(JSON.stringify(targets));
    assert.doesNotMatch(shown, CANARY);
  }));

test("check tells no secret of a configuration it accepts", () =>
  inCanaryDirectory(async (directory, write) => {
    for (const [name, text] of Object.entries(SECRETS)) {
      const path = await write({ allowCommands: true, mcpServers: serversWith(name, text) });
      for (const flags of [["--json"], []]) {
        const { code, stdout, stderr } = await run(["check", ...flags, "-c", path], {
          env: environment(directory),
        });
        assert.equal(code, 0, stderr);
        assert.match(stdout, new RegExp(`${name}-basic`));
        assert.doesNotMatch(stdout.replaceAll(path, ""), CANARY, name);
        assert.doesNotMatch(stderr, CANARY, name);
      }
    }
  }));

test("check tells no secret of a configuration it refuses", () =>
  inCanaryDirectory(async (directory, write) => {
    let refused = 0;
    for (const [name, text] of Object.entries(SECRETS)) {
      // What is written outright in a place for something else is nobody's secret to us.
      if (name === "literal" || name === "fallback") continue;
      for (const entry of brokenWith(text)) {
        const config = { allowCommands: true, mcpServers: { a: entry } };
        const path = await write(config);
        const result = await loadConfig(path, { env: environment(directory) });
        const issues = result.ok
          ? [...result.config.servers.values()].flatMap(({ problem }) => problem ?? [])
          : result.issues;
        refused += issues.length > 0 ? 1 : 0;
        const told = issues.map(formatIssue).join("\n").replaceAll(`echo ${canary("command")}`, "");
        assert.doesNotMatch(told, CANARY, JSON.stringify(entry));
      }
    }
    assert.ok(refused > 80, `only ${refused} refused`);
  }));

test("check tells no secret written into a place for secrets of a configuration it refuses", () =>
  inCanaryDirectory(async (directory, write) => {
    const text = canary("literal");
    const places: readonly unknown[] = [
      { command: 5, args: ["--token", text, 7], env: { KEY: text, B: 1 } },
      { command: "x", args: text, env: text },
      { url: `ftp://me:${text}@h/?token=${text}` },
      { urls: [`ftp://me:${text}@h/?token=${text}`] },
      { serverUrl: `ftp://me:${text}@h/?token=${text}` },
      { url: "https://h/", headers: text, auth: text },
      { url: "https://h/", headers: { "a b": text }, auth: { type: "basic", credentials: text } },
      { url: "https://h/", auth: { type: "basic", token: text } },
      text,
      { command: "x", env: { A: `\${NONE:-${text}` } },
      { command: "x", env: { A: `\${cmd:${text}` } },
    ];
    for (const entry of places) {
      const path = await write({ mcpServers: { a: entry } });
      const { code, stdout, stderr } = await run(["check", "--json", "-c", path], {
        env: environment(directory),
      });
      assert.equal(code, 3, JSON.stringify(entry));
      assert.doesNotMatch(stdout + stderr, CANARY, JSON.stringify(entry));
    }
  }));

test("check tells no secret of credentials it refuses", () =>
  inCanaryDirectory(async (directory, write) => {
    const path = await write({ mcpServers: {} });
    const secret = canary("credential");
    const contents = [
      `{ "A": ${secret} }`,
      `{ "A": ["${secret}"] }`,
      `["${secret}"]`,
      `{ "A": "${secret}"`,
      `"${secret}"`,
    ];
    for (const content of contents) {
      await writeFiles(directory, { "bad.json": content, "bad.yaml": `${content} x` });
      for (const name of ["bad.json", "bad.yaml"]) {
        const args = ["check", "--json", "-c", path, "--credentials", join(directory, name)];
        const { code, stdout, stderr } = await run(args, { env: ENV });
        assert.equal(code, 3, content);
        assert.doesNotMatch(stdout + stderr, CANARY, content);
      }
    }
  }));
