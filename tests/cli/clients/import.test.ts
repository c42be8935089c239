import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { CLIENTS } from "../../../src/cli/clients/clients.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { type Home, homeWith } from "./clients.ts";
import { run } from "../support.ts";

const ALL = CLIENTS.map(({ name }) => name);

function target(home: Home): string {
  return join(home.directory, ".config", "mcproxy", "mcp-servers.json");
}

function credentials(home: Home): string {
  return join(home.directory, ".config", "mcproxy", "credentials.json");
}

async function readJson(path: string) {
  return JSON.parse(await readFile(path, "utf8"));
}

/** What each client's file becomes, secrets where they are. */
const EXPECTED: Readonly<Record<string, unknown>> = {
  "claude-desktop": {
    filesystem: {
      command: "npx",
      args: ["-y", "@modelcontextprotocol/server-filesystem", "/home/u/Desktop"],
    },
    "brave-search": {
      command: "npx",
      args: ["-y", "@modelcontextprotocol/server-brave-search"],
      env: { BRAVE_API_KEY: "c4n4ry-brave-5f2c" },
    },
  },
  "claude-code": {
    sentry: { type: "http", url: "https://mcp.sentry.dev/mcp" },
    db: {
      type: "stdio",
      command: "./tools/db.sh",
      args: [],
      env: { DATABASE_URL: "postgres://shop:c4n4ry-db-5f2c@db.local/shop" },
      cwd: "/home/u/shop",
    },
  },
  cursor: {
    github: {
      url: "https://api.githubcopilot.com/mcp/",
      headers: { Authorization: "Bearer c4n4ry-github-5f2c" },
    },
    local: {
      command: "node",
      args: ["${workspaceFolder}/server.js"],
      env: { LOG_LEVEL: "debug" },
    },
  },
  vscode: {
    perplexity: {
      type: "stdio",
      command: "docker",
      args: ["run", "-i", "--rm", "-e", "PERPLEXITY_API_KEY", "mcp/perplexity-ask"],
      env: { PERPLEXITY_API_KEY: "${input:perplexity-key}" },
    },
    fetch: { type: "http", url: "https://fetch.example.com/mcp" },
  },
  windsurf: {
    figma: {
      url: "https://mcp.figma.example/mcp",
      headers: { "X-Api-Key": "c4n4ry-figma-5f2c" },
      tools: { exclude: ["delete_file"] },
    },
    git: { command: "uvx", args: ["mcp-server-git"], disabled: true, env: {} },
  },
  zed: {
    postgres: { args: ["postgres-mcp"], env: {}, command: "uvx" },
    older: { command: "node", args: ["older.js"], env: { A: "b" } },
    "remote-docs": {
      url: "https://docs.example.com/mcp",
      headers: { Authorization: "Bearer c4n4ry-zed-5f2c" },
    },
  },
  cline: {
    linear: {
      type: "streamable-http",
      url: "https://mcp.linear.example/mcp",
      disabled: false,
      timeout: "60s",
    },
    weather: {
      command: "node",
      args: [
        "/home/u/Documents/Cline/MCP/weather/build/index.js",
        "--api-key",
        "c4n4ry-weather-5f2c",
      ],
      disabled: true,
    },
  },
  codex: {
    context7: {
      command: "npx",
      args: ["-y", "@upstash/context7-mcp"],
      env: { CONTEXT7_HOME: "${CONTEXT7_HOME:-}", CONTEXT7_API_KEY: "c4n4ry-context7-5f2c" },
      startupTimeout: "20s",
    },
    figma: {
      url: "https://mcp.figma.com/mcp",
      headers: {
        "X-Figma-Region": "us-east-1",
        "X-Team": "${FIGMA_TEAM}",
        Authorization: "Bearer ${FIGMA_OAUTH_TOKEN}",
      },
      timeout: "45s",
      tools: { include: ["get_code", "get_image"] },
    },
    "old one": { command: "old", disabled: true },
  },
  gemini: {
    pythonTools: {
      command: "python",
      args: ["-m", "my_mcp_server"],
      cwd: "./mcp-servers/python",
      env: { API_KEY: "${MY_API_TOKEN}", PLAIN: "${OTHER}" },
      timeout: "15000ms",
      tools: { include: ["safe_tool", "file_reader"], exclude: ["dangerous_tool"] },
    },
    events: { url: "http://localhost:3000/sse", type: "sse" },
    api: {
      url: "https://api.example.com/mcp",
      headers: { Authorization: "Bearer c4n4ry-gemini-5f2c" },
      timeout: "5000ms",
    },
  },
  opencode: {
    everything: {
      command: "npx",
      args: ["-y", "@modelcontextprotocol/server-everything"],
      env: { EVERYTHING_MODE: "quiet" },
      timeout: "5000ms",
    },
    sentry: { url: "https://mcp.sentry.dev/mcp", enabled: false },
  },
};

for (const client of ALL) {
  test(`import --from ${client} makes servers of ours of its file`, async () => {
    await using home = await homeWith(ALL);
    const dry = await run(["import", "--from", client], home.options);
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(dry.stdout, /Nothing was written; the same with --write does it/);
    await assert.rejects(stat(dirname(target(home))));
    const wet = await run(["import", "--from", client, "--write"], home.options);
    assert.equal(wet.code, 0, wet.stderr);
    assert.deepEqual((await readJson(target(home))).mcpServers, EXPECTED[client]);
    assert.equal((await stat(target(home))).mode & 0o777, 0o600);
    for (const { stdout, stderr } of [dry, wet]) assert.doesNotMatch(stdout + stderr, /c4n4ry/);
    const again = await run(["import", "--from", client, "--json"], home.options);
    assert.deepEqual(
      JSON.parse(again.stdout).sources.flatMap(({ servers }: { servers: { verdict: string }[] }) =>
        servers.map(({ verdict }) => verdict)
      ).filter((verdict: string) => verdict !== "known"),
      [],
    );
  });
}

test("import --secrets moves every literal secret, so that nothing but its place has changed", async () => {
  await using home = await homeWith(ALL);
  const { code, stdout, stderr } = await run(
    ["import", "--write", "--secrets", "--json"],
    home.options,
  );
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stdout + stderr, /c4n4ry/);
  const text = await readFile(target(home), "utf8");
  assert.doesNotMatch(text, /c4n4ry/);
  const servers = JSON.parse(text).mcpServers;
  assert.equal(servers["brave-search"].env.BRAVE_API_KEY, "${BRAVE_API_KEY}");
  assert.equal(servers.github.headers.Authorization, "Bearer ${GITHUB_TOKEN}");
  assert.deepEqual(servers.weather.args.slice(1), ["--api-key", "${WEATHER_API_KEY}"]);
  assert.equal(servers.db.env.DATABASE_URL, "postgres://shop:${DB_DATABASE_URL}@db.local/shop");
  assert.deepEqual(await readJson(credentials(home)), {
    BRAVE_API_KEY: "c4n4ry-brave-5f2c",
    DB_DATABASE_URL: "c4n4ry-db-5f2c",
    GITHUB_TOKEN: "c4n4ry-github-5f2c",
    FIGMA_X_API_KEY: "c4n4ry-figma-5f2c",
    REMOTE_DOCS_TOKEN: "c4n4ry-zed-5f2c",
    WEATHER_API_KEY: "c4n4ry-weather-5f2c",
    CONTEXT7_API_KEY: "c4n4ry-context7-5f2c",
    API_TOKEN: "c4n4ry-gemini-5f2c",
  });
  assert.equal((await stat(credentials(home))).mode & 0o777, 0o600);
  const loaded = await loadConfig(target(home), home.options);
  assert.ok(loaded.ok, JSON.stringify(loaded));
  const github = loaded.config.servers.get("github")!.instances[0]!;
  assert.ok(github.kind === "http");
  assert.equal(github.headers["Authorization"], "Bearer c4n4ry-github-5f2c");
  const again = await run(["import", "--json", "--secrets"], home.options);
  // Windsurf and Codex both have a "figma"; the first was taken.
  assert.equal(JSON.parse(again.stdout).added, 0);
});

test("import without --secrets tells how many there are, and the names that are taken", async () => {
  await using home = await homeWith(ALL);
  const { stdout, stderr } = await run(["import"], home.options);
  assert.match(stderr, /^warning: found 8 literal secrets; --secrets moves them/m);
  assert.match(stderr, /^warning: some names are taken; --rename/m);
  assert.match(stdout, /^ +figma +http +https:\/\/mcp\.figma\.com +left out: another server has/m);
  assert.match(stdout, /^Claude Code +.*\.claude\.json, \/home\/u\/shop$/m);
  assert.match(stdout, /^21 servers to add to .*mcp-servers\.json$/m);
});

test("import --rename adds a server whose name is taken under one of its own", async () => {
  await using home = await homeWith(["windsurf", "codex"]);
  await run(["import", "--write", "--rename"], home.options);
  const { mcpServers } = await readJson(target(home));
  assert.equal(mcpServers.figma.url, "https://mcp.figma.example/mcp");
  assert.equal(mcpServers["figma-codex"].url, "https://mcp.figma.com/mcp");
  const again = await run(["import", "--json", "--rename"], home.options);
  assert.equal(JSON.parse(again.stdout).added, 0);
});

const EXISTING = `{
    // mine
    "port": 12345, /* not the usual one */
    "mcpServers": {
        "git": { "command": "my-git" }, // stays
        // the end
    },
}
`;

test("import keeps what is there, its comments and rights, and a backup", async () => {
  await using home = await homeWith(["windsurf"]);
  await home.write(target(home), EXISTING);
  await chmod(target(home), 0o640);
  const { code, stdout } = await run(["import", "--write", "--json"], home.options);
  assert.equal(code, 0);
  const report = JSON.parse(stdout);
  assert.deepEqual(
    report.sources[0].servers.map(({ name, verdict }: Record<string, string>) => [name, verdict]),
    [["figma", "add"], ["git", "conflict"]],
  );
  assert.equal(await readFile(report.backup, "utf8"), EXISTING);
  assert.equal((await stat(report.backup)).mode & 0o777, 0o600);
  assert.equal((await stat(target(home))).mode & 0o777, 0o640);
  const text = await readFile(target(home), "utf8");
  const figma = text.slice(text.indexOf('\n        "figma"'), text.indexOf("\n        // the end"));
  assert.equal(text.replace(figma, ""), EXISTING);
  assert.match(figma, /^\n {8}"figma": \{\n {12}"url": /);
  const names = await readdir(dirname(target(home)));
  assert.deepEqual(names.filter((name) => name.startsWith(".")), []);
});

test("import adds to YAML and keeps its comments", async () => {
  await using home = await homeWith(["claude-desktop"]);
  const file = join(home.directory, "mcp.yaml");
  const before =
    "# mine\nmcpServers:\n  # about git\n  git:\n    command: uvx # fast\n    args:\n" +
    "      - mcp-server-git\nport: 12345 # odd\n";
  await home.write(file, before);
  const { code, stderr } = await run(["import", "--write", "--config", file], home.options);
  assert.equal(code, 0, stderr);
  const text = await readFile(file, "utf8");
  const start = text.indexOf("  filesystem:");
  const end = text.indexOf("port:");
  assert.equal(text.slice(0, start) + text.slice(end), before);
  assert.match(text.slice(start, end), /^ {2}filesystem:\n {4}command: npx\n/);
});

test("import never gives a credential another value", async () => {
  await using home = await homeWith(["claude-desktop", "cursor"]);
  await home.write(credentials(home), '{\n  // mine\n  "BRAVE_API_KEY": "another"\n}\n');
  await chmod(credentials(home), 0o600);
  const env = { ...home.options.env, GITHUB_TOKEN: "of the environment" };
  await run(["import", "--write", "--secrets"], { ...home.options, env });
  const text = await readFile(credentials(home), "utf8");
  assert.match(text, /^\{\n {2}\/\/ mine\n {2}"BRAVE_API_KEY": "another",\n/);
  const { mcpServers } = await readJson(target(home));
  assert.equal(mcpServers["brave-search"].env.BRAVE_API_KEY, "${BRAVE_SEARCH_BRAVE_API_KEY}");
  assert.equal(mcpServers.github.headers.Authorization, "Bearer ${GITHUB_TOKEN_2}");
  assert.match(text, /"GITHUB_TOKEN_2": "c4n4ry-github-5f2c"/);
});

test("import refuses credentials that others can read, and writes nothing", async () => {
  await using home = await homeWith(["cursor"]);
  await home.write(credentials(home), "{}");
  await chmod(credentials(home), 0o644);
  const { code, stderr } = await run(["import", "--write", "--secrets"], home.options);
  assert.equal(code, 3);
  assert.match(stderr, /run: chmod 600/);
  await assert.rejects(stat(target(home)));
});

test("import leaves out the gateway itself, whatever its port", async () => {
  await using home = await homeWith(["cursor", "claude-desktop", "codex"]);
  await home.write(target(home), EXISTING);
  for (const client of ["cursor", "claude-desktop"]) {
    await run(["connect", client, "--write", "--url", "http://localhost:12345"], home.options);
  }
  const { stdout } = await run(["import", "--json"], home.options);
  const verdicts = JSON.parse(stdout).sources.flatMap(
    ({ servers }: { servers: Record<string, string>[] }) =>
      servers.filter(({ name }) => name === "mcproxy").map(({ verdict }) => verdict),
  );
  assert.deepEqual(verdicts, ["gateway", "gateway"]);
});

test("import leaves out the gateway itself, one half of whose address is in the environment", async () => {
  await using home = await homeWith(["cursor"]);
  await home.write(target(home), '{ "port": 9000, "mcpServers": {} }');
  const options = { ...home.options, env: { ...home.options.env, MCPROXY_HOST: "192.0.2.5" } };
  await home.write(
    home.file("cursor"),
    '{ "mcpServers": { "gw": { "url": "http://192.0.2.5:9000/mcp" } } }',
  );
  const { stdout } = await run(["import", "--json"], options);
  assert.equal(JSON.parse(stdout).sources[0].servers[0].verdict, "gateway");
});

test("import adds the valid ones beside a broken file and a broken server, and exits with 3", async () => {
  await using home = await homeWith(["claude-desktop"]);
  await home.write(home.file("cursor"), '{ "mcpServers": {\n  "a": }}');
  await home.write(home.file("gemini"), '{ "mcpServers": {\n  "b": { "comand": "x" } } }');
  const { code, stderr } = await run(["import", "--write"], home.options);
  assert.equal(code, 3);
  assert.match(stderr, /\.cursor\/mcp\.json:2:8/);
  assert.match(stderr, /settings\.json:2:10 mcpServers\.b\.comand: .*did you mean "command"/);
  assert.deepEqual(Object.keys((await readJson(target(home))).mcpServers), [
    "filesystem",
    "brave-search",
  ]);
});

test("import tells which variables have no value yet, and which settings are left out", async () => {
  await using home = await homeWith(["vscode", "cline"]);
  const { code, stderr } = await run(["import"], home.options);
  assert.equal(code, 0);
  assert.match(
    stderr,
    /mcp\.json:11:38 servers\.perplexity\..*: input "perplexity-key" has no value/,
  );
  assert.match(stderr, /linear\.autoApprove: "autoApprove" is a setting of other clients/);
  const env = { ...home.options.env, INPUT_PERPLEXITY_KEY: "c4n4ry" };
  const filled = await run(["import", "--from", "vscode"], { ...home.options, env });
  assert.equal(filled.stderr, "");
});

test("import FILE takes any layout, and a project's folder with it", async () => {
  await using home = await homeWith();
  const file = join(home.directory, "shop", ".vscode", "mcp.json");
  await home.write(
    file,
    '{ "servers": { "a": { "command": "${workspaceFolder}/run", "timeout": 5000 } } }',
  );
  await run(["import", file, "--write"], home.options);
  assert.deepEqual((await readJson(target(home))).mcpServers, {
    a: { command: join(home.directory, "shop", "run"), timeout: "5000ms" },
  });
});

test("import FILE says what is wrong with it", async () => {
  await using home = await homeWith();
  await home.write(join(home.options.cwd, "other.json"), '{ "theme": "dark" }');
  const gone = await run(["import", "gone.json"], home.options);
  assert.deepEqual([gone.code, /gone\.json: .*does not exist/.test(gone.stderr)], [3, true]);
  const other = await run(["import", "other.json"], home.options);
  assert.equal(other.code, 3);
  assert.match(other.stderr, /other\.json: found no servers, expected mcpServers, servers or/);
});

test("import without anything to find exits with 0", async () => {
  await using home = await homeWith();
  assert.deepEqual(await run(["import", "--write"], home.options), {
    code: 0,
    stdout: "Found no servers to add\n",
    stderr: "",
  });
});

test("import refuses a configuration that does not parse, and one that is several", async () => {
  await using home = await homeWith(["cursor"]);
  await home.write(target(home), "{ nope");
  const broken = await run(["import", "--write"], home.options);
  assert.equal(broken.code, 3);
  assert.match(broken.stderr, /mcp-servers\.json:1:3/);
  assert.equal(await readFile(target(home), "utf8"), "{ nope");
  const several = await run(["import", "-c", "a.json", "-c", "b.json"], home.options);
  assert.equal(several.code, 2);
});

test("import writes nothing where the result would not load", async () => {
  await using home = await homeWith(["cursor"]);
  const before = '{ "mcpServers": {}, "unknown": 1 }';
  await home.write(target(home), before);
  const { code, stderr } = await run(["import", "--write"], home.options);
  assert.equal(code, 3);
  assert.match(stderr, /mcp-servers\.json:1:21 unknown: unknown key/);
  assert.equal(await readFile(target(home), "utf8"), before);
  assert.deepEqual(await readdir(dirname(target(home))), ["mcp-servers.json"]);
});

test("import says what keeps it from writing, and leaves nothing behind", async () => {
  await using home = await homeWith(["cursor"]);
  const folder = join(home.directory, "file");
  await home.write(folder, "");
  const { code, stderr } = await run(
    ["import", "--write", "--config", join(folder, "mcp.json")],
    home.options,
  );
  assert.notEqual(code, 0);
  assert.match(stderr, /a part of its path is not a directory/);
  await mkdir(join(home.directory, "dir"));
  const directory = await run(["import", "-c", join(home.directory, "dir")], home.options);
  assert.equal(directory.code, 3);
});
