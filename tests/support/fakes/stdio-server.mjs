// A fake upstream on stdin and stdout. Run: bun stdio-server.mjs '<FakeSpec as JSON>'.

import { FakeCore } from "./core.mjs";
import { eachLine, write } from "./lines.mjs";

/** @type {import("./spec.ts").FakeSpec} */
const given = JSON.parse(process.argv[2] ?? "{}");
/** @type {import("./spec.ts").FakeSpec} */
let spec = given;
let startedBefore = 0;
// Loaded by those only that have such a file, as every start of a fake is paid for by a test.
if (given.specFile !== undefined || given.startsFile !== undefined) {
  const { appendFileSync, existsSync, readFileSync } = await import("node:fs");
  /** @param {string | undefined} path */
  const read = (path) =>
    path !== undefined && existsSync(path) ? readFileSync(path, "utf8") : undefined;
  spec = { ...given, ...JSON.parse(read(given.specFile) ?? "{}") };
  startedBefore = (read(spec.startsFile)?.split("\n").length ?? 1) - 1;
  if (spec.startsFile !== undefined) appendFileSync(spec.startsFile, `${process.pid}\n`);
}
const faults = spec.faults ?? {};

for (let i = 0; i < (faults.stderrLines ?? 0); i++) process.stderr.write(`noise ${i}\n`);
if (faults.crashOnStart !== undefined && startedBefore < (faults.crashStarts ?? Infinity)) {
  process.stderr.write("fake: this server cannot start\n");
  process.exit(faults.crashOnStart);
}
if (faults.ignoreSigterm) process.on("SIGTERM", () => {});
if (faults.ignoreEof) setInterval(() => {}, 60_000);

function grandchild() {
  return Bun.spawn([process.execPath, "-e", "setInterval(() => {}, 60000)"], {
    stdio: ["ignore", "ignore", "ignore"],
  }).pid;
}
if (faults.grandchild) process.stderr.write(`grandchild ${grandchild()}\n`);

let legacyClient = false;
const core = new FakeCore(
  spec,
  {
    // A crash, not an end: what was written stays written, nothing else happens.
    exit: (code) => write("").then(() => process.exit(code)),
    stderr: (text) => process.stderr.write(text),
    grandchild,
  },
  (raw) => {
    if (legacyClient) write(`${raw}\n`);
  },
);

function junk() {
  for (let i = 0; i < (faults.junk ?? 0); i++) write(`npm warn junk ${i}\n`);
}

/** @type {import("./core.mjs").Peer} */
const peer = {
  send: (...raws) => {
    junk();
    write(raws.map((raw) => `${raw}\n`).join(""));
  },
  sendPart: (part) => write(part),
  end: () => {},
};

/** @param {string} line */
function take(line) {
  if (line.trim() === "" || faults.hangOnStart) return;
  const method = JSON.parse(line).method;
  if (faults.crashOnProbe && method !== "initialize" && !legacyClient) {
    process.stderr.write(`fake: unexpected ${method} before initialize\n`);
    process.exit(6);
  }
  if (method === "initialize") legacyClient = true;
  core.handle(line, peer);
  if (faults.stopReading && method === "notifications/initialized") deaf = true;
}
let deaf = false;

junk();
const ready = new Promise((resolve) => setTimeout(resolve, spec.startDelay ?? 0));
/** @type {string[] | undefined} */
let early = [];
void eachLine(
  (line) => early === undefined ? take(line) : early.push(line),
  () => {
    if (!faults.ignoreEof) process.exit(0);
  },
  () => deaf,
);
void ready.then(() => {
  const waiting = early ?? [];
  early = undefined;
  waiting.forEach(take);
});
