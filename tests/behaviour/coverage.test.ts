import assert from "node:assert/strict";
import { test } from "node:test";
import { requirements } from "./requirements.ts";
import { topics } from "./topics/all.ts";

const cited = new Map<string, number>();
const count = (id: string) => void cited.set(id, (cited.get(id) ?? 0) + 1);
for (const topic of topics) topic({ verifies: count, verifiesProcess: count });

test("every requirement has a test", () => {
  assert.deepEqual([...requirements.keys()].filter((id) => !cited.has(id)), []);
});

test("every test cites a requirement, and no two the same", () => {
  assert.deepEqual([...cited.keys()].filter((id) => !requirements.has(id as never)), []);
  assert.deepEqual([...cited].filter(([, times]) => times > 1), []);
});

test("every requirement says where it comes from and what it wants", () => {
  for (const [id, { source, behaviour }] of requirements) {
    assert.match(source, /^(issue|docs\/[a-z]+\.md,|README\.md,|spec) /, id);
    assert.ok(behaviour.length > 15, id);
  }
});
