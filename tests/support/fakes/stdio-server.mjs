// A fake upstream on stdin and stdout. Run: node stdio-server.mjs '<FakeSpec as JSON>'.

import { spawn } from "node:child_process";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { FakeCore } from "./core.mjs";

/** @type {import("./spec.ts").FakeSpec} */
const given = JSON.parse(process.argv[2] ?? "{}");
/** @type {import("./spec.ts").FakeSpec} */
const spec = given.specFile !== undefined && existsSync(given.specFile)
  ? { ...given, ...JSON.parse(readFileSync(given.specFile, "utf8")) }
  : given;
const faults = spec.faults ?? {};
const startedBefore = spec.startsFile !== undefined && existsSync(spec.startsFile)
  ? readFileSync(spec.startsFile, "utf8").split("\n").length - 1
  : 0;
if (spec.startsFile !== undefined) appendFileSync(spec.startsFile, `${process.pid}\n`);

for (let i = 0; i < (faults.stderrLines ?? 0); i++) process.stderr.write(`noise ${i}\n`);
if (faults.crashOnStart !== undefined && startedBefore < (faults.crashStarts ?? Infinity)) {
  process.stderr.write("fake: this server cannot start\n");
  process.exit(faults.crashOnStart);
}
if (faults.ignoreSigterm) process.on("SIGTERM", () => {});
if (faults.ignoreEof) setInterval(() => {}, 60_000);

function grandchild() {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 60000)"], {
    stdio: "ignore",
  });
  return child.pid ?? 0;
}
if (faults.grandchild) process.stderr.write(`grandchild ${grandchild()}\n`);

let legacyClient = false;
const core = new FakeCore(
  spec,
  {
    // A crash, not an end: what was written stays written, nothing else happens.
    exit: (code) => process.stdout.write("", () => process.exit(code)),
    stderr: (text) => process.stderr.write(text),
    grandchild,
  },
  (raw) => {
    if (legacyClient) process.stdout.write(`${raw}\n`);
  },
);

function junk() {
  for (let i = 0; i < (faults.junk ?? 0); i++) process.stdout.write(`npm warn junk ${i}\n`);
}

/** @type {import("./core.mjs").Peer} */
const peer = {
  send: (...raws) => {
    junk();
    process.stdout.write(raws.map((raw) => `${raw}\n`).join(""));
  },
  sendPart: (part) => process.stdout.write(part),
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
  if (faults.stopReading && method === "notifications/initialized") {
    process.stdin.pause();
  }
}

junk();
const ready = new Promise((resolve) => setTimeout(resolve, spec.startDelay ?? 0));
/** @type {string[] | undefined} */
let early = [];
// Not by readline: on Bun a line ends for that at U+2028 as well, which JSON may have in it.
let rest = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (chunk) => {
  const lines = (rest + chunk).split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) early === undefined ? take(line) : early.push(line);
});
process.stdin.on("end", () => {
  if (!faults.ignoreEof) process.exit(0);
});
void ready.then(() => {
  const waiting = early ?? [];
  early = undefined;
  waiting.forEach(take);
});
