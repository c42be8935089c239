import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EMPTY_INVENTORY, type Inventory, type ListItem } from "../../src/protocol/lists.ts";
import { parseMessage, type ResponseMessage } from "../../src/protocol/message.ts";
import { type Candidate, choose, Pins, slotLabel, Stickiness } from "../../src/upstream/choose.ts";
import { saysTheSame } from "../../src/upstream/connection/inventory.ts";
import { differenceOf } from "../../src/upstream/shown.ts";
import { bestPhase, combinedState, INITIAL_STATE, type Phase } from "../../src/upstream/state.ts";
import { FakeClock } from "./fakes/clock.ts";
import { exchangeFor, httpTarget, LEGACY_CLIENT, MODERN_CLIENT } from "./support.ts";

const PHASES: readonly Phase[] = ["ready", "connecting", "idle", "backoff", "closed"];
const candidate = fc.record({
  phase: fc.constantFrom(...PHASES),
  suspect: fc.boolean(),
  inUse: fc.nat(3),
});

test("choose() takes the best phase, then no suspect, then the fewest calls, and never a closed one", () => {
  fc.assert(fc.property(fc.array(candidate, { maxLength: 6 }), fc.nat(9), (all, turn) => {
    const at = choose(all, turn);
    const open = all.filter(({ phase }) => phase !== "closed");
    if (at === undefined) return assert.equal(open.length, 0);
    const key = ({ phase, suspect, inUse }: Candidate) =>
      PHASES.indexOf(phase) * 100 + Number(suspect) * 10 + inUse;
    assert.equal(key(all[at]!), Math.min(...open.map(key)));
    // No equal one is nearer to the turn.
    const distance = (index: number) => (index - turn % all.length + all.length) % all.length;
    all.forEach((other, index) => {
      if (key(other) === key(all[at]!)) assert.ok(distance(at) <= distance(index));
    });
  }));
});

test("choose() lets equals alternate, and leaves out what is excluded", () => {
  const all: Candidate[] = [1, 2, 3].map(() => ({ phase: "ready", suspect: false, inUse: 0 }));
  const order: (number | undefined)[] = [];
  for (let turn = 0; order.length < 6;) {
    const at = choose(all, turn)!;
    order.push(at);
    turn = (at + 1) % all.length;
  }
  assert.deepEqual(order, [0, 1, 2, 0, 1, 2]);
  assert.equal(choose(all, 0, new Set([all[0]!, all[1]!])), 2);
  assert.equal(choose(all, 0, new Set(all)), undefined);
  assert.equal(choose([], 0), undefined);
});

test("combinedState() is the best there is, with the restarts of all", () => {
  const of = (phase: Phase, restarts = 0) => ({ ...INITIAL_STATE, phase, restarts });
  const alone = of("backoff", 3);
  assert.equal(combinedState([alone]), alone);
  const many = combinedState([of("backoff", 2), { ...of("ready", 1), wasReady: true }, of("idle")]);
  assert.deepEqual(many, { phase: "ready", failures: 0, restarts: 3, wasReady: true });
  // One that rests does not hide that the others are away.
  assert.equal(bestPhase(["idle", "backoff", "closed"]), "backoff");
  assert.equal(bestPhase(["closed", "closed"]), "closed");
  for (const phase of PHASES) assert.equal(bestPhase([phase]), phase);
});

test("Pins forgets what was not used for its time, and the longest unused of too many", () => {
  const clock = new FakeClock();
  const pins = new Pins<number>(clock, { entries: 3, age: 100 });
  for (const key of [1, 2, 3]) pins.set(String(key), key);
  assert.equal(pins.get("1"), 1);
  pins.set("4", 4);
  assert.deepEqual(["1", "2", "3", "4"].map((key) => pins.get(key)), [1, undefined, 3, 4]);
  clock.tick(99);
  assert.equal(pins.get("1"), 1);
  clock.tick(1);
  assert.deepEqual(["1", "3", "4"].map((key) => pins.get(key)), [1, undefined, undefined]);
  pins.delete("1");
  assert.equal(pins.get("1"), undefined);
  for (let key = 0; key < 5; key++) {
    pins.set(String(key), key);
    clock.tick(200);
  }
  assert.equal(pins.size, 1, "expired ones go by themselves");
});

const answer = (result: unknown) =>
  parseMessage(JSON.stringify({ jsonrpc: "2.0", id: 1, result })) as ResponseMessage;
const request = (method: string, params: unknown, client = LEGACY_CLIENT) =>
  exchangeFor(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }), client);

test("Stickiness brings a task home under the server's id and under the exposed one", () => {
  const sticky = new Stickiness<number>("my server", new FakeClock());
  const call = request("tools/call", { name: "t" });
  sticky.learn(call, answer({ task: { taskId: "a.b" } }), 7);
  for (const taskId of ["a.b", "my~20~server.a.b"]) {
    for (const method of ["tasks/get", "tasks/result", "tasks/cancel"]) {
      assert.deepEqual(sticky.homeOf(request(method, { taskId })), { place: 7, isOnly: true });
    }
  }
  assert.equal(sticky.homeOf(request("tasks/get", { taskId: "other.a.b" })), undefined);
  assert.equal(sticky.homeOf(request("tools/call", { taskId: "a.b" })), undefined);
  // A result that happens to have a task is none that was created.
  sticky.learn(call, answer({ content: [], task: { taskId: "fake" } }), 7);
  assert.equal(sticky.homeOf(request("tasks/get", { taskId: "fake" })), undefined);
});

test("Stickiness brings a requestState to its maker for an hour, and a session until it is released", () => {
  const clock = new FakeClock();
  const sticky = new Stickiness<number>("x", clock);
  const retry = (requestState: unknown) =>
    sticky.homeOf(request("tools/call", { requestState }, MODERN_CLIENT));
  const state = "s".repeat(5_000);
  const asked = answer({ resultType: "input_required", requestState: state });
  sticky.learn(request("tools/call", {}, MODERN_CLIENT), asked, 3);
  assert.deepEqual(retry(state), { place: 3, isOnly: false });
  assert.equal(retry(`${state}.`), undefined);
  assert.equal(retry(5), undefined);
  clock.tick(3_600_000);
  assert.equal(retry(state), undefined);
  sticky.setSession("anna", 1);
  clock.tick(1e9);
  assert.equal(sticky.ofSession("anna"), 1);
  sticky.release("anna");
  assert.equal(sticky.ofSession("anna"), undefined);
});

const inventory = (tools: Record<string, string>, rest: Partial<Inventory> = {}): Inventory => ({
  ...EMPTY_INVENTORY,
  ...rest,
  lists: {
    ...EMPTY_INVENTORY.lists,
    tools: { items: Object.entries(tools).map(([key, raw]): ListItem => ({ key, raw })) },
  },
});

test("differenceOf() names what is more, missing and described otherwise, in any order", () => {
  const shown = inventory({ a: "1", b: "2", c: "3" });
  assert.equal(differenceOf(shown, inventory({ c: "3", b: "2", a: "1" })), undefined);
  assert.equal(
    differenceOf(shown, inventory({ a: "x", c: "3", d: "4" })),
    'has more tools ("d"); lacks tools ("b"); describes tools otherwise ("a")',
  );
  const many = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`t${index}`, "1"]));
  assert.match(differenceOf(EMPTY_INVENTORY, inventory(many))!, /"t4" and 3 more\)$/);
  assert.match(differenceOf(shown, { ...shown, era: "modern" })!, /^speaks the modern era/);
});

test("saysTheSame() compares all that is said, and not who says it", () => {
  const one = inventory({ a: "1" });
  assert.ok(saysTheSame(one, inventory({ a: "1" })));
  for (const other of [inventory({ a: "2" }), inventory({}), inventory({ a: "1", b: "1" })]) {
    assert.ok(!saysTheSame(one, other));
  }
  const rest: Partial<Inventory>[] = [
    { capabilities: "{}x" },
    { serverInfo: '{"name":"y"}' },
    { instructions: "z" },
    { era: one.era === "legacy" ? "modern" : "legacy" },
  ];
  for (const part of rest) assert.ok(!saysTheSame(one, inventory({ a: "1" }, part)));
});

test("slotLabel() names a host and nothing that may be secret", () => {
  assert.equal(slotLabel(1, { kind: "stdio", command: "x", args: [], env: {} }), "instance 1");
  const url = "https://me:pass@example.com:8443/mcp/s3cret?key=s3cret";
  assert.equal(slotLabel(2, httpTarget(url)), "instance 2 (example.com:8443)");
  assert.equal(slotLabel(3, httpTarget("${UNSET}")), "instance 3");
});
