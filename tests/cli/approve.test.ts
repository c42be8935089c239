import assert from "node:assert/strict";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { main } from "../../src/cli/main.ts";
import { type PinBook, pinFile, updatePins } from "../../src/gateway/pins/pin-file.ts";
import { inDirectory } from "../config/temp.ts";
import { run, TestInput, TestIo } from "./support.ts";

function pin(text: string) {
  return { sha256: text, raw: text, text };
}

const CHANGED = pin('{"description":"Adds two numbers.\\nAlso \u{e0041}.","name":"add"}');

/** A file of pins in which two definitions of one server wait. */
function withPins(use: (directory: string, file: string) => Promise<void>): Promise<void> {
  return inDirectory(async (directory) => {
    const file = pinFile(directory);
    await updatePins(file, (book: PinBook) => {
      const before = pin('{"description":"Adds two numbers.","name":"add"}');
      book.set("calc", {
        pinned: new Map([["tool add", before]]),
        waiting: new Map([["tool add", CHANGED], ["prompt greet", pin('{"name":"greet"}')]]),
        open: [],
      });
      book.set("quiet", { pinned: new Map(), waiting: new Map(), open: [] });
    });
    await use(directory, file);
  });
}

function approve(directory: string, ...args: readonly string[]) {
  return run(["approve", ...args], { env: { STATE_DIRECTORY: directory } });
}

async function waitingIn(file: string): Promise<readonly string[]> {
  return Object.keys(JSON.parse(await readFile(file, "utf8")).servers.calc.waiting);
}

test("approve without a server lists what waits, and as JSON with the differences", () =>
  withPins(async (directory, file) => {
    const { code, stdout } = await approve(directory);
    assert.equal(code, 0);
    assert.match(stdout, /calc: mcproxy approve "calc"/);
    assert.match(stdout, /Tool "add": its definition changed, and has hidden characters/);
    assert.match(stdout, /Prompt "greet": it is new/);
    assert.doesNotMatch(stdout, /quiet/);
    const [server] = JSON.parse((await approve(directory, "--json")).stdout);
    assert.equal(server.waiting[1].item, "prompt greet");
    assert.deepEqual(server.waiting[1].difference, ["+ name: greet"]);
    assert.equal((await waitingIn(file)).length, 2);
  }));

test("approve shows the difference, hidden characters visible, and asks who can be asked", () =>
  withPins(async (directory, file) => {
    const refused = await approve(directory, "calc");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Nothing was approved\nAdd --yes/);
    assert.match(refused.stdout, /- description: Adds two numbers\.\n\+ description: /);
    assert.match(refused.stdout, /\\u\{E0041\}/);
    for (const [answer, code, left] of [["n\n", 1, 2], ["", 1, 2], ["y\n", 0, 0]] as const) {
      const stdin = new TestInput();
      const terminal = { columns: 80, rows: 24 };
      const io = new TestIo({ env: { STATE_DIRECTORY: directory }, stdin, terminal });
      Object.defineProperty(io.stdin, "isTerminal", { value: true });
      if (answer !== "") stdin.write(answer);
      stdin.end();
      assert.equal(await main(["approve", "calc"], io), code, io.stderrText);
      assert.match(io.stderrText, /Approve 2 definitions of "calc"\? \[y\/N\]/);
      // deno-lint-ignore no-control-regex
      assert.match(io.stdoutText, /\x1b\[\d+m\+ description/);
      assert.equal((await waitingIn(file)).length, left);
    }
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.match((await approve(directory, "calc")).stderr, /Nothing waits for approval/);
  }));

test("approve takes single tools and prompts; names that do not wait are errors", () =>
  withPins(async (directory, file) => {
    const wrong = await approve(directory, "calc", "add", "gret", "--yes");
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /Cannot approve "gret" of "calc": nothing of this name waits/);
    const unknown = await approve(directory, "clac", "--yes");
    assert.match(
      unknown.stderr,
      /Cannot approve "clac": no gateway has seen it\nKnown: calc, quiet/,
    );
    assert.equal((await approve(directory, "calc", "greet", "--yes")).code, 0);
    assert.deepEqual(await waitingIn(file), ["tool add"]);
  }));

test("approve does not approve what came after it was shown", () =>
  withPins(async (directory, file) => {
    const stdin = new TestInput();
    const io = new TestIo({ env: { STATE_DIRECTORY: directory }, stdin });
    Object.defineProperty(io.stdin, "isTerminal", { value: true });
    const done = main(["approve", "calc", "add"], io);
    await io.err.waitFor((text) => text.includes("[y/N]"));
    await updatePins(file, (book) => {
      const { waiting, ...pins } = book.get("calc")!;
      book.set("calc", { ...pins, waiting: new Map([...waiting, ["tool add", pin('{"x":1}')]]) });
    });
    stdin.write("yes\n");
    stdin.end();
    assert.equal(await done, 1);
    assert.match(io.stderrText, /1 of 1 definition of "calc" changed meanwhile, and still wait/);
    assert.equal((await waitingIn(file)).length, 2);
  }));

test("approve refuses a file that others can read, and one that is damaged", () =>
  withPins(async (directory, file) => {
    await chmod(file, 0o640);
    assert.match(
      (await approve(directory)).stderr,
      /Cannot use ".*": found mode 0640, expected 0600; run: chmod 600/,
    );
    await chmod(file, 0o600);
    await writeFile(file, '{"version":1,"servers":{"a":{}}}');
    assert.match((await approve(directory)).stderr, /Cannot use ".*": found damaged/);
  }));

test("approve says where nothing waits, with no file at all", () =>
  inDirectory(async (directory) => {
    const { code, stderr } = await approve(join(directory, "none"));
    assert.equal(code, 0);
    assert.match(stderr, /Nothing waits for approval/);
  }));
