import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommandLine } from "../../src/cli/args.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { UsageError } from "../../src/app/io.ts";

const ACCEPTED: readonly (readonly [string, string, Record<string, unknown>, string[]])[] = [
  ["", "serve", {}, []],
  ["--log", "serve", { log: true }, []],
  ["run --port 0", "serve", { port: "0" }, []],
  ["-c f.json", "serve", { config: "f.json" }, []],
  ["-cf.json", "serve", { config: "f.json" }, []],
  ["--config=-odd.json check", "check", { config: "-odd.json" }, []],
  ["--json check --config f.json", "check", { json: true, config: "f.json" }, []],
  ["-c a -c b --config=c", "serve", { config: ["a", "b", "c"] }, []],
  ["check --credentials s.json", "check", { credentials: "s.json" }, []],
  ["serve --port=1 --port 2", "serve", { port: "2" }, []],
  ["call a_b {} --url http://x", "call", { url: "http://x" }, ["a_b", "{}"]],
  ["call a_b -", "call", {}, ["a_b", "-"]],
  ["call -- a_b -x", "call", {}, ["a_b", "-x"]],
  ["serve --no-auth --stdio", "serve", { "no-auth": true, stdio: true }, []],
  ["call --help", "call", { help: true }, []],
  ["-h", "serve", { help: true }, []],
];

for (const [line, command, options, args] of ACCEPTED) {
  test(`parseCommandLine() reads "${line}"`, () => {
    const parsed = parseCommandLine(line === "" ? [] : line.split(" "), COMMANDS);
    assert.equal(parsed.command.name, command);
    assert.deepEqual(parsed.options, options);
    assert.deepEqual(parsed.args, args);
  });
}

const REFUSED: readonly (readonly [string, string])[] = [
  ["--prot 3", 'Unknown option "--prot" (did you mean "--port"?)'],
  ["serve --confg x", 'Unknown option "--confg" (did you mean "--config"?)'],
  ["-x", 'Unknown option "-x"'],
  ["chek", 'Unknown command "chek" (did you mean "check"?)'],
  ["imports x", 'Unknown command "imports" (did you mean "import"?)'],
  ["check --log", 'Unknown option "--log" for "check"'],
  ["--log=yes", 'Option "--log" takes no value; found "yes"'],
  ["--config", 'Option "--config" needs a value: --config FILE'],
  ["--config --log", 'Option "--config" needs a value: --config FILE'],
  ["--port= ", 'Option "--port" needs a value: --port PORT'],
  ["call", 'Cannot run "call": TOOL is missing; expected "mcproxy call TOOL [JSON]"'],
  ["status now", 'Cannot run "status": found "now" too many; expected "mcproxy status"'],
  ["constructor", 'Unknown command "constructor"'],
  ["--constructor", 'Unknown option "--constructor"'],
  ["--toString", 'Unknown option "--toString"'],
];

for (const [line, message] of REFUSED) {
  test(`parseCommandLine() refuses "${line}"`, () => {
    const argv = line.split(" ").filter((word) => word !== "");
    assert.throws(() => parseCommandLine(argv, COMMANDS), (error) => {
      assert.ok(error instanceof UsageError);
      assert.equal(error.exitCode, 2);
      assert.equal(error.message, message);
      return true;
    });
  });
}
