/**
 * Stands in for podman. Its containers are processes that nobody's end ends, with a file for each in
 * $PODMAN_STAND_IN; `run` talks for one, and is deaf to what would end a program.
 */

import { spawn } from "node:child_process";
import { appendFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { serve } from "./server.mjs";

const [, , folder, ...args] = process.argv;
const [verb] = args;
appendFileSync(join(folder, "asked.log"), `${JSON.stringify(args)}\n`);
const files = () => readdirSync(folder).filter((name) => name.startsWith("container-"));
const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const end = (pid) => {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has gone.
  }
};

if (verb === "run") {
  const words = (option) => args.flatMap((word, at) => args[at - 1] === option ? [word] : []);
  const container = spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6)", folder], {
    detached: true,
    stdio: "ignore",
  });
  const env = Object.fromEntries(words("-e").map((name) => [name, process.env[name]]));
  const about = { label: words("--label")[0], env, pid: container.pid, client: process.pid };
  writeFileSync(join(folder, `container-${container.pid}`), JSON.stringify(about));
  process.on("SIGTERM", () => {});
  serve();
  // Stays when its input has ended.
  setInterval(() => {}, 1e6);
} else if (verb === "ps") {
  const wanted = args[args.indexOf("--filter") + 1].replace("label=", "");
  for (const name of files()) {
    const { label } = read(name);
    if (label.startsWith(wanted)) console.log(`${name} ${label.replace("mcproxy=", "")}`);
  }
} else if (verb === "rm") {
  for (const name of args.slice(args.indexOf("--force") + 1)) {
    const { pid, client } = read(name);
    end(pid);
    rmSync(join(folder, name));
    end(client);
  }
}
