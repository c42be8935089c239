// The interactive fake on stdin and stdout. Run: node interactive-server.mjs '<InteractiveSpec>'.
// With a `control` port it reports there what it hears, and does what it is told from there.

import { connect } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { InteractiveCore } from "./interactive-core.mjs";

const spec = JSON.parse(process.argv[2] ?? "{}");
const control = spec.control === undefined ? undefined : connect(spec.control, "127.0.0.1");
// The test has ended: so does this.
control?.on("error", () => process.exit(0));
control?.on("close", () => process.exit(0));

// What it says to the gateway waits until the test has heard what was reported before: a test that
// knows the answer of a call knows of the call.
let reported = 0;
let heard = 0;
/** @type {{ after: number, raw: string }[]} */
const held = [];
const core = new InteractiveCore(spec, (event) => {
  if (control === undefined) return;
  reported++;
  control.write(`${JSON.stringify(event)}\n`);
});
/** @param {...string} raws in one write, however busy the machine is */
const write = (...raws) => {
  held.push({ after: reported, raw: raws.join("\n") });
  flush();
};
const flush = () => {
  while (held.length > 0 && held[0].after <= heard) process.stdout.write(`${held.shift()?.raw}\n`);
};
const connection = core.connect(write, `${spec.name}@${process.pid}`);

if (control !== undefined) {
  const commands = createInterface({ input: control });
  commands.on("error", () => process.exit(0));
  commands.on("line", (line) => {
    const command = JSON.parse(line);
    if (!command.heard) return core.command(command);
    heard++;
    flush();
  });
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  if (line.trim() !== "") connection.handle(line, { send: write, end: () => {} });
});
lines.on("close", () => {
  if (control === undefined) process.exit(0);
  control.end(() => process.exit(0));
});
