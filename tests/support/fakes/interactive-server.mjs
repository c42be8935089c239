// The interactive fake on stdin and stdout. Run: bun interactive-server.mjs '<InteractiveSpec>'.
// With a `control` port it reports there what it hears, and does what it is told from there.

import { InteractiveCore } from "./interactive-core.mjs";
import { eachLine, LineSplitter, write as print } from "./lines.mjs";

const spec = JSON.parse(process.argv[2] ?? "{}");
const leave = () => process.exit(0);
/** What the system has not taken yet of what goes to the test. */
let unsent = new Uint8Array();
let leaving = false;
const commands = new LineSplitter();
const control = spec.control === undefined ? undefined : await Bun.connect({
  hostname: "127.0.0.1",
  port: spec.control,
  socket: {
    data: (_socket, bytes) => commands.take(bytes, onCommand),
    drain: push,
    // The test has ended: so does this.
    close: leave,
    error: leave,
  },
}).catch(leave);

// What it says to the gateway waits until the test has heard what was reported before: a test that
// knows the answer of a call knows of the call.
let reported = 0;
let heard = 0;
/** @type {{ after: number, raw: string }[]} */
const held = [];
const core = new InteractiveCore(spec, (event) => {
  if (control === undefined) return;
  reported++;
  unsent = Buffer.concat([unsent, Buffer.from(`${JSON.stringify(event)}\n`)]);
  push();
});
function push() {
  if (unsent.length > 0) unsent = unsent.subarray(Math.max(0, control.write(unsent)));
  if (leaving && unsent.length === 0) control.end();
}
/** @param {...string} raws in one write, however busy the machine is */
const write = (...raws) => {
  held.push({ after: reported, raw: raws.join("\n") });
  flush();
};
const flush = () => {
  while (held.length > 0 && held[0].after <= heard) print(`${held.shift()?.raw}\n`);
};
const connection = core.connect(write, `${spec.name}@${process.pid}`);

/** @param {string} line */
function onCommand(line) {
  const command = JSON.parse(line);
  if (!command.heard) return core.command(command);
  heard++;
  flush();
}

void eachLine((line) => {
  if (line.trim() !== "") connection.handle(line, { send: write, end: () => {} });
}, () => {
  if (control === undefined) leave();
  leaving = true;
  push();
});
