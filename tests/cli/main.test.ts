import assert from "node:assert/strict";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ExitCode } from "../../src/app/io.ts";
import { main } from "../../src/cli/main.ts";
import { run, TestIo } from "./support.ts";

test("ExitCode is what scripts rely on", () => {
  assert.deepEqual(ExitCode, { Ok: 0, Failed: 1, Usage: 2, Config: 3 });
});

test("main() reports a usage error in one line and where help is", async () => {
  const { code, stdout, stderr } = await run(["--prot", "3"]);
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.equal(
    stderr,
    'Unknown option "--prot" (did you mean "--port"?)\nRun "mcproxy help" for usage\n',
  );
});

test("main() reports an error as JSON with --json", async () => {
  const { code, stdout, stderr } = await run(["chek", "--json"]);
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.deepEqual(JSON.parse(stderr), {
    error: {
      message: 'Unknown command "chek" (did you mean "check"?)',
      exitCode: 2,
      hint: 'Run "mcproxy help" for usage',
    },
  });
});

/** Runs a command line whose stderr is that stream, and whose journal reads stream 8:1. */
async function inService(argv: readonly string[], identity: string) {
  const io = new TestIo({ env: { JOURNAL_STREAM: "8:1" }, cwd: tmpdir() });
  Object.assign(io, { stderr: { ...io.stderr, identity } });
  await main(argv, io);
  return io.stderrText;
}

test("main() gives each line of an error its severity where the journal reads it", async () => {
  const help = 'Run "mcproxy help" for usage\n';
  assert.equal(
    await inService(["chek"], "8:1"),
    `<3>Unknown command "chek" (did you mean "check"?)\n<3>${help}`,
  );
  assert.match(await inService(["chek", "--json"], "8:1"), /^<3>\{"error":.*\}\n$/);
  const file = join(await mkdtemp(join(tmpdir(), "mcproxy-main-")), "bad.json");
  await writeFile(
    file,
    '{\n "mcpServers": { "a": { "comand": "x" },\n "b": { "url": "ftp://h" } } }',
  );
  const lines = (await inService(["serve", "--config", file], "8:1")).trimEnd().split("\n");
  assert.ok(lines.length >= 2, lines.join("\n"));
  for (const line of lines) assert.match(line, /^<3>/);
  assert.doesNotMatch(await inService(["chek"], "8:2"), /<3>/);
});

test("main() colours errors on a terminal, unless NO_COLOR is set", async () => {
  const terminal = { columns: 80, rows: 24 };
  assert.ok((await run(["chek"], { terminal })).stderr.startsWith("\x1b[31mUnknown"));
  assert.ok(
    (await run(["chek"], { terminal, env: { NO_COLOR: "1" } })).stderr.startsWith("Unknown"),
  );
});

test("version prints name and version, --version anywhere too", async () => {
  const { version } = JSON.parse(
    await readFile(new URL("../../package.json", import.meta.url), "utf8"),
  );
  for (const args of [["version"], ["--version"], ["serve", "--version"], ["call", "--version"]]) {
    const { code, stdout, stderr } = await run(args);
    assert.equal(code, 0);
    assert.equal(stderr, "");
    assert.ok(stdout.startsWith(`mcproxy ${version} (`), stdout);
  }
});

test("version --json names the runtime", async () => {
  const { stdout } = await run(["version", "--json"]);
  const { name, version, runtime, runtimeVersion } = JSON.parse(stdout);
  assert.equal(name, "mcproxy");
  assert.match(version, /^\d+\.\d+\.\d+/);
  assert.ok(["deno", "bun"].includes(runtime));
  assert.match(runtimeVersion, /^\d+\.\d+/);
});

test("help names every command and every option of serve", async () => {
  const { code, stdout, stderr } = await run(["help"]);
  assert.equal(code, 0);
  assert.equal(stderr, "");
  const words =
    "serve bridge check list call status import connect schema version help --config --host --port " +
    "--log --log-format --log-level --stdio --no-auth --json";
  for (const word of words.split(" ")) assert.ok(stdout.includes(word), word);
  assert.equal((await run(["--help"])).stdout, stdout);
});

test("help of a command is the same by help, --help and its alias", async () => {
  const { stdout } = await run(["help", "serve"]);
  assert.match(stdout, /Alias: run/);
  assert.equal((await run(["serve", "--help"])).stdout, stdout);
  assert.equal((await run(["run", "-h"])).stdout, stdout);
  assert.equal((await run(["help", "run"])).stdout, stdout);
});

test("help refuses a command there is not", async () => {
  const { code, stderr } = await run(["help", "stauts"]);
  assert.equal(code, 2);
  assert.match(stderr, /did you mean "status"/);
});

test("help --json lists commands with their options", async () => {
  const { commands } = JSON.parse((await run(["help", "--json"])).stdout);
  const call = commands.find((command: { name: string }) => command.name === "call");
  assert.deepEqual(call.words, ["TOOL", "[JSON]"]);
  assert.deepEqual(
    call.options.map(({ name }: { name: string }) => name),
    ["config", "credentials", "url", "json", "help", "version"],
  );
});

test("schema prints the generated file", async () => {
  const { code, stdout } = await run(["schema"]);
  assert.equal(code, 0);
  const file = new URL("../../schema/mcp-servers.schema.json", import.meta.url);
  assert.deepEqual(JSON.parse(stdout), JSON.parse(await readFile(file, "utf8")));
});

test("main() shows no secret of the configuration, whatever escapes a command", async () => {
  for (const flags of [[], ["--json"]]) {
    const io = new TestIo({ stdin: neverEnding() });
    io.secrets.add("hunter2-hunter2");
    const done = main(["call", "x", "-", "--url", "http://127.0.0.1:9", ...flags], io);
    const error = new Error("Cannot compile hunter2-hunter2 \x1b[2J and Bearer abcdefgh12345");
    io.fail(error, "exception");
    assert.equal(await done, 1);
    assert.ok(io.stderrText.includes("Cannot compile [redacted]"), io.stderrText);
    assert.doesNotMatch(io.stderrText, /hunter2|abcdefgh12345/);
    assert.ok(!io.stderrText.includes("\x1b[2J"));
  }
});

async function* neverEnding(): AsyncGenerator<Uint8Array> {
  await new Promise(() => {});
  yield new Uint8Array();
}

test("reading a configuration tells what must not be printed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "mcproxy-"));
  const mcpServers = { a: { command: "x", args: ["--pat", "tok-e1n2"] } };
  await writeFile(join(directory, "mcp-servers.json"), JSON.stringify({ mcpServers }));
  const io = new TestIo({ cwd: directory });
  await main(["check"], io);
  assert.deepEqual([...io.secrets], ["tok-e1n2"]);
});
