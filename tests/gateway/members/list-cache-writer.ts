/**
 * Run by `list-cache-files.test.ts` as a process of its own: keeps the lists of one server anew, as fast
 * as it can, until it is killed. Its argument is the cache directory.
 */
import process from "node:process";
import { ListCache } from "../../../src/gateway/members/list-cache.ts";
import { inventory } from "../../registry/builders.ts";

const cache = new ListCache(process.argv[2]);
for (let turn = 0;; turn++) {
  const keys = Array.from({ length: 2_000 }, (_, index) => `${turn}-${index}`);
  cache.set({ name: "busy", key: "{}" }, inventory({ tools: keys }));
  await cache.flush();
  if (turn === 0) process.stdout.write("writing\n");
}
