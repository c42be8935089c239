import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { parseCommandLine } from "../../src/cli/args.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { planServe } from "../../src/app/plan.ts";
import { gatewayUrls } from "../../src/cli/urls.ts";
import { environmentOf, parseContainerfile } from "./containerfile.ts";
import { QUADLET_GRAMMAR } from "./grammar.ts";
import { faults, packaged, parseUnit, valuesOf, withExamples } from "./unit-file.ts";

const FILES = ["Containerfile", "compose.yaml", "mcproxy.container"] as const;
const BINARY = "/usr/local/bin/mcproxy";
const PORT = "12009";

const instructions = parseContainerfile(packaged("Containerfile"));
const quadlet = parseUnit(packaged("mcproxy.container"));
const { services: { mcproxy: service }, volumes } = parse(packaged("compose.yaml"));

/** The texts of an instruction. */
function all(name: string): readonly string[] {
  return instructions.filter((one) => one.name === name).map(({ text }) => text);
}

/** A command in the form that needs no shell, of which a distroless image has none. */
function words(text: string): readonly string[] {
  const value: unknown = JSON.parse(text);
  assert.ok(Array.isArray(value) && value.every((word) => typeof word === "string"), text);
  return value;
}

const CONTAINER = (key: string) => valuesOf(quadlet, "Container", key);
const HEALTH_CHECKS: Readonly<Record<(typeof FILES)[number], readonly string[]>> = {
  "Containerfile": ["CMD", ...words(/ CMD (\[.*\])$/.exec(all("HEALTHCHECK")[0]!)![1]!)],
  "compose.yaml": service.healthcheck.test,
  "mcproxy.container": words(CONTAINER("HealthCmd")[0]!),
};

test("the Containerfile copies one binary, runs it without a shell and not as root", () => {
  assert.deepEqual(all("ENTRYPOINT").map(words), [[BINARY]]);
  assert.ok(all("COPY").includes(`--chmod=755 mcproxy ${BINARY}`));
  const [user] = all("USER");
  assert.match(user!, /^[1-9]\d+:[1-9]\d+$/);
  // Else a new volume belongs to root, and no cache can be written.
  assert.ok(all("COPY").some((text) => text.includes(`--chown=${user} `)));
  assert.deepEqual(all("EXPOSE"), [PORT]);
});

test("the Containerfile starts the gateway with options there are, at the default port", async () => {
  const { command, options } = parseCommandLine(words(all("CMD")[0]!), COMMANDS);
  assert.equal(command.name, "serve");
  assert.equal(options.log, true);
  assert.equal(options.config, "/etc/mcproxy/mcp-servers.json");
  const folder = mkdtempSync(join(tmpdir(), "mcproxy-container-"));
  try {
    const config = join(folder, "mcp-servers.json");
    // What the image says wins over the file, or the published port would lead nowhere.
    writeFileSync(config, JSON.stringify({ mcpServers: {}, host: "127.0.0.1", port: 1 }));
    const env = environmentOf(instructions);
    const plan = await planServe({ ...options, config }, { env, cwd: folder });
    assert.equal(plan.listen, true);
    assert.deepEqual(plan.destination, { kind: "stdout" });
    const { host, port } = plan.config.settings;
    assert.deepEqual([host, port], ["0.0.0.0", Number(PORT)]);
    // The health check runs in the same environment, without any option that says where.
    assert.equal(gatewayUrls(undefined, env).health, `http://127.0.0.1:${PORT}/health`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

for (const file of FILES) {
  test(`the health check of ${file} is the binary's own, without a shell`, () => {
    const [form, program, ...args] = HEALTH_CHECKS[file];
    assert.deepEqual([form, program], ["CMD", BINARY]);
    const { command, options } = parseCommandLine(args, COMMANDS);
    assert.equal(command.name, "status");
    assert.deepEqual(options, { health: true });
  });

  test(`${file} names no registry`, () => {
    const text = packaged(file);
    const images = [...text.matchAll(/(?:^FROM |^ARG BASE=|^Image=|image: |BASE: ")([^\s"]+)/gm)]
      .map((match) => match[1]!);
    assert.ok(images.length > 0);
    // In a name with slashes the part before the first is a host when it has a dot or a port.
    for (const image of images) assert.doesNotMatch(image, /^[^/]*[.:][^/]*\//);
  });
}

test("the quadlet has no key or value that podman does not know", () => {
  assert.deepEqual(faults(quadlet, QUADLET_GRAMMAR), []);
  const examples = parseUnit(withExamples(packaged("mcproxy.container")));
  assert.deepEqual(faults(examples, QUADLET_GRAMMAR), []);
  assert.ok(examples.length > quadlet.length);
});

test("quadlet and compose publish the default port to this machine only", () => {
  assert.deepEqual(CONTAINER("PublishPort"), [`127.0.0.1:${PORT}:${PORT}`]);
  assert.deepEqual(service.ports, [`127.0.0.1:${PORT}:${PORT}`]);
});

test("quadlet and compose mount the folders the image has, and none that hides a file", () => {
  const mounted = words(all("VOLUME")[0]!);
  const targets = (list: readonly string[]) => list.map((volume) => volume.split(":")[1]);
  assert.deepEqual(targets(CONTAINER("Volume")), mounted);
  assert.deepEqual(targets(service.volumes), mounted);
  const config = words(all("CMD")[0]!).at(-1)!;
  assert.ok(config.startsWith(`${mounted[0]}/`));
  const env = environmentOf(instructions);
  assert.deepEqual([env["HOME"], env["STATE_DIRECTORY"]], [mounted[1], mounted[1]]);
  assert.deepEqual(Object.keys(volumes), [service.volumes[1].split(":")[0]]);
});

test("quadlet and compose run it with an init, a read-only root and no privileges", () => {
  for (const key of ["RunInit", "ReadOnly", "NoNewPrivileges"]) {
    assert.deepEqual(CONTAINER(key), ["true"], key);
  }
  assert.deepEqual(CONTAINER("DropCapability"), ["all"]);
  assert.deepEqual(CONTAINER("HealthOnFailure"), ["kill"]);
  assert.deepEqual(valuesOf(quadlet, "Service", "Restart"), ["always"]);
  assert.equal(service.init, true);
  assert.equal(service.read_only, true);
  assert.deepEqual(service.cap_drop, ["ALL"]);
  assert.deepEqual(service.security_opt, ["no-new-privileges:true"]);
  assert.equal(service.restart, "unless-stopped");
});

test("compose builds from where the binary is, with the Containerfile beside it", () => {
  const root = resolve("/project");
  const context = resolve(root, "packaging", service.build.context);
  assert.equal(context, join(root, "dist"));
  assert.equal(
    resolve(context, service.build.dockerfile),
    join(root, "packaging/Containerfile"),
  );
});

test("all three wait as long for a health check", () => {
  const [, interval, timeout, start, retries] =
    /^--interval=(\w+) --timeout=(\w+) --start-period=(\w+) --retries=(\d+) /
      .exec(all("HEALTHCHECK")[0]!)!;
  const { healthcheck: { test: _, ...compose } } = service;
  assert.deepEqual(compose, { interval, timeout, start_period: start, retries: Number(retries) });
  const keys = ["HealthInterval", "HealthTimeout", "HealthStartPeriod", "HealthRetries"];
  assert.deepEqual(keys.flatMap(CONTAINER), [interval, timeout, start, retries]);
});
