import assert from "node:assert/strict";
import { test } from "node:test";
import { Outage } from "../../../src/gateway/search/outage.ts";
import { Lines } from "./support.ts";

test("an Outage is told of once, however it shows, and once when all of it is over", () => {
  const { log, all } = new Lines();
  const outage = new Outage(log, { model: "m", url: "https://u:p@models.example:8443/v1?key=k" });
  outage.up("queries");
  assert.deepEqual(all, []);
  outage.down("tools", "answered with HTTP status 500");
  outage.down("queries", "gave no answer within 300 ms");
  outage.down("tools", "answered with HTTP status 502");
  outage.up("queries");
  assert.equal(all.length, 1);
  outage.up("tools");
  outage.up("tools");
  assert.deepEqual(all, [
    "Search goes by words alone: the embeddings of m at models.example:8443 answered with HTTP " +
    "status 500",
    "Search uses the embeddings of m at models.example:8443 again",
  ]);
  outage.down("queries", "is down");
  assert.equal(all.length, 3);
});
