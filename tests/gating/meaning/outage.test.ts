import assert from "node:assert/strict";
import { test } from "node:test";
import { Outage } from "../../../src/gating/meaning/embed.ts";
import { Lines } from "./support.ts";

const ENDPOINT = { model: "m", url: "https://u:p@models.example:8443/v1?key=k" };

test("an Outage is told of once, however it shows, and once when all of it is over", () => {
  const { log, all } = new Lines();
  let now = 0;
  const outage = new Outage(log, ENDPOINT, { now: () => now });
  outage.up("queries");
  assert.deepEqual(all, []);
  outage.down("tools", "answered with HTTP status 500");
  outage.down("queries", "gave no answer within 300 ms");
  outage.down("tools", "answered with HTTP status 502");
  outage.up("queries");
  assert.equal(all.length, 1);
  outage.up("tools");
  outage.up("tools");
  now = 600_000;
  outage.down("queries", "is down");
  assert.deepEqual(all, [
    "Search finds tools that are new by words alone: m at models.example:8443 answered with HTTP " +
    "status 500",
    "Search has the embeddings of m at models.example:8443 again",
    "Search goes by words alone: m at models.example:8443 is down",
  ]);
});

test("an Outage of an endpoint that comes and goes is told of when it lasts", () => {
  const { log, all } = new Lines();
  let now = 0;
  const outage = new Outage(log, ENDPOINT, { now: () => now });
  for (; now < 600_000; now += 2_000) {
    outage.down("queries", "is slow");
    outage.up("queries");
  }
  assert.equal(all.length, 2, all.join("\n"));
  outage.down("queries", "is slow");
  assert.equal(all.length, 3, "the time is over");
});
