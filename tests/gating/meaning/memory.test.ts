import assert from "node:assert/strict";
import { test } from "node:test";
import v8 from "node:v8";
import vm from "node:vm";
import type { SearchIndex } from "../../../src/gating/words/index.ts";
import { indexOf } from "../../../src/gating/words/search.ts";
import type { Snapshot } from "../../../src/gating/gate.ts";
import { entry, inventory } from "../../registry/builders.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";
import { Search, snapshot, tool } from "./support.ts";

const SNAPSHOTS = 200;
const TOOLS = 100;

/** Of all indexes so many may be there yet: a collector that looks at the stack sees ghosts. */
const MOST_ALIVE = SNAPSHOTS / 10;

test("indexes of snapshots that are gone are gone, too", async () => {
  const clock = new FakeClock();
  const search = new Search({ clock });
  const made: WeakRef<SearchIndex>[] = [];
  let registry: Snapshot | undefined;
  for (let version = 0; version < SNAPSHOTS; version++) {
    registry = change(search, clock, version, registry);
    made.push(new WeakRef(indexOf(registry.aggregate, registry.entries, search.tags)));
    // References are held to the end of a turn.
    if (version % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const collect = collector();
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  const count = made.filter((one) => one.deref() !== undefined).length;
  assert.ok(count <= MOST_ALIVE, `${count} of ${SNAPSHOTS} indexes are still there`);
  assert.ok(made.at(-1)!.deref() !== undefined);
  assert.deepEqual((await search.ids(registry!, "letter")).length, 8);
  await search.finder.close();
});

/** Collects all garbage at once, as each runtime lets tests do it. */
function collector(): () => void {
  const { Bun } = globalThis as { Bun?: { gc(now: boolean): void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  v8.setFlagsFromString("--expose-gc");
  return vm.runInNewContext("gc");
}

/** Another snapshot, prepared: every tool says something else. */
function change(search: Search, clock: FakeClock, version: number, before?: Snapshot): Snapshot {
  const items = Array.from(
    { length: TOOLS },
    (_, index) => tool(`t${index}`, `Sends letter ${index} of edition ${version}.`),
  );
  const registry = snapshot([entry("bureau", inventory({ tools: { items } }))], {}, before);
  search.finder.prepare(registry);
  clock.tick(1_000);
  return registry;
}
