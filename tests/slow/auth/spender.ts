/** A process that spends a grant: for each line of its stdin, a time, it tells what five calls would send. */

import process from "node:process";
import { createInterface } from "node:readline";
import { GrantFile } from "../../../src/upstream/oauth/grants.ts";
import { Logins } from "../../../src/upstream/oauth/logins.ts";

const [directory = "", url = ""] = process.argv.slice(2);
let time = 0;
const logins = new Logins({ file: new GrantFile(directory), now: () => time });
const it = logins.of("it", {
  kind: "http",
  url,
  transport: "http",
  headers: {},
  login: { type: "oauth" },
});

for await (const line of createInterface({ input: process.stdin })) {
  time = Number(line);
  const told = await Promise.all(Array.from({ length: 5 }, async () => {
    try {
      return await it.header();
    } catch (error) {
      return (error as Error).message;
    }
  }));
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
logins.close();
