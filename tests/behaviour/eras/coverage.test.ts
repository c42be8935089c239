import assert from "node:assert/strict";
import { test } from "node:test";
import { CELLS, eraRequirements } from "./requirements.ts";
import { cellsOf } from "./suite.ts";
import { eraTopics } from "./topics/all.ts";

const cited: string[] = [];
for (const topic of eraTopics) topic({ verifies: (id) => void cited.push(id) });

test("every row of the eras has exactly one test, and every test a row", () => {
  assert.deepEqual(cited.toSorted(), [...eraRequirements.keys()].toSorted());
});

test("every row of the eras says where it comes from, what it wants and in which cells", () => {
  for (const [id, { source, behaviour }] of eraRequirements) {
    assert.match(source, /^(spec 20\d\d-\d\d-\d\d, [a-z]|docs\/[a-z]+\.md$)/, id);
    assert.ok(behaviour.length > 15, id);
    const cells = cellsOf(id).map(([name]) => name);
    assert.ok(cells.length > 0, id);
    assert.deepEqual(cells, Object.keys(CELLS).filter((name) => cells.includes(name as never)), id);
  }
});
