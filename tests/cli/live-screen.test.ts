import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveScreen } from "../../src/cli/view/live.ts";
import { TestIo } from "./support.ts";

/** What a terminal shows after these texts; knows the two sequences the screen uses. */
function shown(text: string): string[] {
  let lines = [""];
  let y = 0;
  // deno-lint-ignore no-control-regex
  for (const part of text.split(/(\x1b\[\d*[AJ]|\n|\r)/)) {
    // deno-lint-ignore no-control-regex
    const up = /^\x1b\[(\d+)A$/.exec(part);
    if (up !== null) y = Math.max(0, y - Number(up[1]));
    else if (part === "\x1b[0J") lines = [...lines.slice(0, y), ""];
    else if (part === "\n") lines[++y] ??= "";
    else lines[y] += part === "\r" ? "" : part;
  }
  return lines;
}

function screen(io: TestIo, lines: () => string[]): LiveScreen {
  return new LiveScreen(io.stderr, lines);
}

const TERMINAL = { terminal: { columns: 40, rows: 10 } };

test("LiveScreen writes log lines above the lines it draws", async () => {
  const io = new TestIo(TERMINAL);
  let drawn = ["one", "two"];
  const live = screen(io, () => drawn);
  live.start();
  await live.above("log 1\n");
  drawn = ["one"];
  await live.above("log 2\nlog 3\n");
  assert.deepEqual(shown(io.stderrText), ["log 1", "log 2", "log 3", "one", ""]);
  live.clear(["end"]);
  assert.deepEqual(shown(io.stderrText), ["log 1", "log 2", "log 3", "end", ""]);
});

test("LiveScreen.guard() goes back to the output once the view is over", async () => {
  const io = new TestIo(TERMINAL);
  const live = screen(io, () => ["view"]);
  const guarded = live.guard(io.stdout);
  live.start();
  await guarded.write("early\n");
  assert.deepEqual(shown(io.stderrText), ["early", "view", ""]);
  assert.equal(io.stdoutText, "");
  live.clear();
  await guarded.write("late\n");
  assert.equal(io.stdoutText, "late\n");
  assert.deepEqual(shown(io.stderrText), ["early", ""]);
});

test("LiveScreen.guard() leaves an output alone that is no terminal", () => {
  const io = new TestIo();
  assert.equal(screen(io, () => []).guard(io.stdout), io.stdout);
});

test("LiveScreen gives the draw function one row less than there are", () => {
  const io = new TestIo(TERMINAL);
  const sizes: unknown[] = [];
  const live = new LiveScreen(io.stderr, (frame, size) => {
    sizes.push([frame, size]);
    return [];
  });
  live.start();
  live.clear();
  assert.deepEqual(sizes, [[0, { columns: 40, rows: 9 }]]);
});

test("LiveScreen redraws in place as time goes by, and stops when cleared", (t) => {
  // Deno does not give them back by itself, and other files may share its engine.
  t.after(() => t.mock.timers.reset());
  t.mock.timers.enable({ apis: ["setInterval"] });
  const io = new TestIo(TERMINAL);
  const live = new LiveScreen(io.stderr, (frame) => [`frame ${frame}`]);
  live.start();
  t.mock.timers.tick(120);
  t.mock.timers.tick(120);
  assert.deepEqual(shown(io.stderrText), ["frame 2", ""]);
  live.clear(["done"]);
  t.mock.timers.tick(1_200);
  assert.deepEqual(shown(io.stderrText), ["done", ""]);
});
