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

const core = new InteractiveCore(spec, (event) => control?.write(`${JSON.stringify(event)}\n`));
/** @param {string} raw */
const write = (raw) => void process.stdout.write(`${raw}\n`);
const connection = core.connect(write, `${spec.name}@${process.pid}`);

if (control !== undefined) {
  createInterface({ input: control }).on("line", (line) => core.command(JSON.parse(line)));
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  if (line.trim() !== "") connection.handle(line, { send: write, end: () => {} });
});
lines.on("close", () => {
  if (control === undefined) process.exit(0);
  control.end(() => process.exit(0));
});
