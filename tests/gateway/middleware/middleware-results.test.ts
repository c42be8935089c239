import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ReplaceRule } from "../../../src/config/types.ts";
import type { Call, Middleware } from "../../../src/gateway/middleware/middleware.ts";
import { replaceText } from "../../../src/gateway/middleware/replace.ts";
import {
  ResultStore,
  STORE_LIMITS,
  storedReply,
} from "../../../src/gateway/middleware/result-store.ts";
import { cutAt, limitResults } from "../../../src/gateway/middleware/size.ts";
import { withExposedUris } from "../../../src/gateway/tasks.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import type { RpcError } from "../../../src/protocol/errors.ts";
import { buildRegistry } from "../../../src/registry/build.ts";
import type { View } from "../../../src/registry/types.ts";
import { entry } from "../../registry/builders.ts";
import { answered, callTo, clientOf, textResult } from "./middleware-support.ts";
import { rounds } from "../../support/rounds.ts";

interface Result {
  readonly content: JsonObject[];
  readonly structuredContent?: unknown;
  readonly isError?: boolean;
}

/** Runs a result (JSON) through a middleware and gives back the text of what comes out. */
async function through(middleware: Middleware, resultText: string, call: Call = callTo()) {
  const response = await middleware(call, (last) => Promise.resolve(answered(last, resultText)));
  assert.deepEqual(JSON.parse(response.raw).result, response.result, "raw and parsed agree");
  return response.raw.slice('{"jsonrpc":"2.0","id":1,"result":'.length, -1);
}

const parsed = (text: string) => JSON.parse(text) as Result;

function limited(limit: number, options: { store?: ResultStore; output?: boolean } = {}) {
  const { store = new ResultStore(), output = false } = options;
  return limitResults({ limit, store, declaresOutput: () => output });
}

function rule(pattern: string, replacement: string, rest: Partial<ReplaceRule> = {}): ReplaceRule {
  return { tools: ["*"], pattern, flags: "", with: replacement, structured: false, ...rest };
}

test("limitResults() leaves a result that fits character for character", async () => {
  const result = '{ "content" : [ {"type":"text","text":"\\u0061"} ], "n": 1.0, "_meta":{"x":[]} }';
  assert.equal(await through(limited(300), result), result);
  const exact = textResult("é".repeat(200));
  assert.equal(await through(limited(400), exact), exact);
});

test("limitResults() cuts text, says how much, links to the whole and keeps everything else", async () => {
  const store = new ResultStore();
  const text = "0123456789".repeat(50);
  const result =
    `{ "big": 12345678901234567890, "content" : [ {"x":1.0,"type":"text","text":"${text}"},` +
    ` {"type":"image","data":"${"A".repeat(900)}","mimeType":"image/png"} ] , "y": {"z":[ ]} }`;
  const call = callTo({ session: "a" });
  const out = await through(limited(300, { store }), result, call);
  assert.ok(out.startsWith('{ "big": 12345678901234567890, "content" : [ {"x":1.0,"type":"text"'));
  assert.ok(out.endsWith('] , "y": {"z":[ ]} }'));
  const [cut, image, note, link] = parsed(out).content;
  assert.equal(cut!.text, text.slice(0, 300));
  assert.equal(image!.data, "A".repeat(900));
  assert.equal(
    note!.text,
    `[mcproxy left out 200 of 500 bytes of this result; the whole is at ${link!.uri}]`,
  );
  assert.deepEqual(link, {
    type: "resource_link",
    uri: link!.uri,
    name: "t (whole result)",
    mimeType: "text/plain",
    size: 500,
  });
  const whole = JSON.parse(store.read(String(link!.uri), clientOf("a"))!);
  assert.deepEqual(whole, [{ uri: link!.uri, mimeType: "text/plain", text }]);
});

test("limitResults() leaves out whole items behind the cut, those of embedded resources too", async () => {
  const resource = { uri: "f://x", mimeType: "text/csv", text: "c".repeat(300) };
  const result = JSON.stringify({
    content: [
      { type: "text", text: "a".repeat(256) },
      { type: "resource", resource },
      { type: "text", text: "small" },
      { type: "audio", data: "AAAA", mimeType: "audio/wav" },
    ],
  });
  const { content } = parsed(await through(limited(300), result));
  assert.deepEqual(content.map(({ type }) => type), [
    ...["text", "resource", "audio", "text", "resource_link"],
  ]);
  assert.equal((content[1]!.resource as JsonObject).text, "c".repeat(44));
  // Nothing of the second fits: the item is no empty shell.
  const full = parsed(await through(limited(256), result));
  assert.deepEqual(full.content.map(({ type }) => type), [
    "text",
    "audio",
    "text",
    "resource_link",
  ]);
});

test("limitResults() never cuts inside of a character", () => {
  fc.assert(fc.property(
    fc.string({ unit: "grapheme", maxLength: 60 }),
    fc.nat(120),
    (text, bytes) => {
      const kept = text.slice(0, cutAt(text, bytes));
      assert.ok(kept.isWellFormed());
      assert.ok(new TextEncoder().encode(kept).length <= bytes);
      const step = (text.codePointAt(kept.length) ?? 0) > 0xffff ? 2 : 1;
      const more = text.slice(0, kept.length + step);
      assert.ok(kept === text || new TextEncoder().encode(more).length > bytes, "no byte too few");
    },
  ));
  assert.equal(cutAt("a😀b", 4), 1);
  assert.equal(cutAt("a😀b", 5), 3);
  assert.equal(cutAt("é", 1), 0);
});

test("limitResults() cuts by bytes, and takes a first item away with its comma", async () => {
  const store = new ResultStore({ ...STORE_LIMITS, resultBytes: 0 });
  const wide = parsed(await through(limited(301, { store }), textResult("é".repeat(200))));
  assert.equal(wide.content[0]!.text, "é".repeat(150));
  const image = '{"type":"image","data":""}';
  const out = await through(
    limited(3, { store }),
    `{"content":[ {"type":"text","text":"😀"} , ${image} , {"type":"text","text":"b"}, ${image}]}`,
  );
  assert.ok(out.startsWith(`{"content":[  ${image}, ${image},{"type":"text"`), out);
});

test("limitResults() leaves well-formed items for any content", async () => {
  const item = fc.oneof(
    fc.record({ type: fc.constant("text"), text: fc.string({ maxLength: 60 }) }),
    fc.record({
      type: fc.constant("resource"),
      resource: fc.record({ uri: fc.string(), text: fc.string({ maxLength: 60 }) }),
    }),
    fc.record({ type: fc.string(), text: fc.integer() }),
    fc.anything({ maxDepth: 1 }).filter((one) => JSON.stringify(one) !== undefined),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 6 }), fc.nat(4), async (content, space) => {
      const result = JSON.stringify({ content }, null, space);
      const before = JSON.parse(result) as Result;
      const out = await through(limited(40), result);
      const after = parsed(out);
      const own = (one: Result) =>
        one.content.map((each) => each as JsonObject | null)
          .filter((each) => each?.type !== "resource_link");
      const texts = own(after).flatMap((each) =>
        typeof each?.text === "string" && each.type === "text" ? [each.text] : []
      );
      const size = texts.filter((text) => !text.startsWith("[mcproxy left out")).join("");
      assert.ok(new TextEncoder().encode(size).length <= 40);
      const untouched = (one: Result) =>
        own(one).filter((each) => each?.type !== "text" && each?.type !== "resource");
      assert.deepEqual(untouched(after), untouched(before));
    }),
    { numRuns: rounds(200) },
  );
});

test("limitResults() gives clients before 2025-06-18 the address in words only", async () => {
  const call = callTo({ session: "a", client: { protocolVersion: "2025-03-26" } });
  const { content } = parsed(await through(limited(256), textResult("x".repeat(999)), call));
  assert.deepEqual(content.map(({ type }) => type), ["text", "text"]);
  assert.match(String(content[1]!.text), /the whole is at mcproxy:\/\/results\/[0-9a-f-]{36}\]$/);
});

test("limitResults() drops structured content that is too large, unless a schema asks for it", async () => {
  const store = new ResultStore();
  const structuredContent = { rows: Array.from({ length: 200 }, (_, row) => row) };
  const result = textResult("short", { structuredContent });
  const kept = parsed(await through(limited(256, { output: true }), result));
  assert.deepEqual(kept, parsed(result));
  const call = callTo({ session: "a" });
  const dropped = parsed(await through(limited(256, { store }), result, call));
  assert.equal(dropped.structuredContent, undefined);
  assert.equal(dropped.content[0]!.text, "short");
  const whole = JSON.parse(store.read(String(dropped.content[2]!.uri), clientOf("a"))!);
  assert.deepEqual(whole.map((part: JsonObject) => part.mimeType), [
    "text/plain",
    "application/json",
  ]);
  assert.deepEqual(JSON.parse(whole[1].text), structuredContent);
});

test("limitResults() cuts an error of the tool too, and passes errors of the protocol", async () => {
  const result = parsed(
    await through(limited(256, { output: true }), textResult("x".repeat(999), { isError: true })),
  );
  assert.equal(result.isError, true);
  assert.equal(String(result.content[0]!.text).length, 256);
  const error = { ...answered(callTo(), "{}"), result: undefined, error: { message: "x" } };
  assert.equal(await limited(256)(callTo(), () => Promise.resolve(error)), error);
});

test("limitResults() says so when the whole is too large to be kept", async () => {
  const store = new ResultStore({ ...STORE_LIMITS, resultBytes: 1000 });
  const { content } = parsed(await through(limited(256, { store }), textResult("x".repeat(2000))));
  assert.equal(content.length, 2);
  assert.match(String(content[1]!.text), /left out 1744 of 2000 bytes.*too large to be kept\]$/);
});

test("ResultStore gives a result to its own session only, and for its time", async () => {
  let now = 0;
  const store = new ResultStore({ ...STORE_LIMITS, age: 1000 }, () => now);
  const uri = (await store.put("a", [{ mimeType: "text/plain", text: "é" }]))!;
  const open = (await store.put(undefined, [{ mimeType: "text/plain", text: "m" }]))!;
  assert.match(store.read(uri, clientOf("a"))!, /"text":"é"/);
  assert.match(store.read(open, clientOf())!, /"text":"m"/);
  assert.equal(store.read("file:///x", clientOf("a")), undefined);
  const refused = (read: () => unknown, code: number) =>
    assert.throws(
      read,
      (error: RpcError) => error.code === code && /call the tool again/.test(error.message),
    );
  refused(() => store.read(uri, clientOf("b")), -32002);
  refused(() => store.read(uri, clientOf()), -32602);
  refused(() => store.read(open, clientOf("a")), -32002);
  refused(() => store.read("mcproxy://results/nothing", clientOf("a")), -32002);
  now = 1001;
  refused(() => store.read(uri, clientOf("a")), -32002);
});

test("ResultStore lets go of the oldest when it is full", async () => {
  const store = new ResultStore({ bytes: 3000, resultBytes: 2000, age: 1000 });
  const part = { mimeType: "text/plain", text: "x".repeat(1000) };
  const first = (await store.put("a", [part]))!;
  const second = (await store.put("a", [part]))!;
  const third = (await store.put("a", [part]))!;
  assert.throws(() => store.read(first, clientOf("a")));
  assert.ok(store.read(third, clientOf("a")));
  assert.ok(second !== third);
});

test("storedReply() answers both eras, and nothing else's resources", async () => {
  const store = new ResultStore();
  const view = { serverInfo: '{"name":"x"}' } as View;
  const read = (uri: string, session?: string) =>
    callTo({ id: "r", method: "resources/read", params: JSON.stringify({ uri }), session })
      .exchange;
  assert.equal(storedReply(read("file:///x", "a"), store, view), undefined);
  const uri = (await store.put("a", [{ mimeType: "text/plain", text: "whole" }]))!;
  assert.deepEqual(JSON.parse(storedReply(read(uri, "a"), store, view)!), {
    jsonrpc: "2.0",
    id: "r",
    result: { contents: [{ uri, mimeType: "text/plain", text: "whole" }] },
  });
  const open = (await store.put(undefined, [{ mimeType: "text/plain", text: "whole" }]))!;
  const { result } = JSON.parse(storedReply(read(open), store, view)!);
  assert.equal(result.resultType, "complete");
  assert.equal(result.ttlMs, 0);
  assert.equal(result.cacheScope, "private");
});

test("withExposedUris() leaves links to stored results alone, whatever templates servers have", async () => {
  const servers = [entry("s", { resources: ["x://1"] }), entry("o", { templates: ["{+uri}"] })];
  const view = buildRegistry({ version: 1, servers }).aggregate;
  const call = callTo({ session: "one" });
  const cut = answered(call, textResult("x".repeat(500), { own: { uri: "y://2" } }));
  const response = await limited(300)(call, () => Promise.resolve(cut));
  const raw = withExposedUris(response, "s", view);
  const { content, own } = JSON.parse(raw).result;
  assert.equal(own.uri, "s+y://2");
  assert.match(content.at(-1).uri, /^mcproxy:\/\/results\//);
});

test("replaceText() replaces in text and embedded resources, and leaves all else as it was", async () => {
  const result = '{ "n": 1.0, "content": [ {"type":"text","text":"key sk-abcdef!"} , ' +
    '{"type":"resource","resource":{"uri":"sk-abcdef","text":"sk-zzzzzz"}},' +
    '{"type":"image","data":"sk-abcdef"}, {"type":"text" ,"text":"none\\u0021"} ] }';
  assert.equal(
    await through(replaceText([rule("sk-[a-z]{6}", "[key]")]), result),
    '{ "n": 1.0, "content": [ {"type":"text","text":"key [key]!"} , ' +
      '{"type":"resource","resource":{"uri":"sk-abcdef","text":"[key]"}},' +
      '{"type":"image","data":"sk-abcdef"}, {"type":"text" ,"text":"none\\u0021"} ] }',
  );
});

test("replaceText() applies one rule after the other, with groups, names, flags and dollars", async () => {
  const middleware = replaceText([
    rule("(\\w+)@(?<host>\\w+)", "$<host>:$1:$&:$$1:$9"),
    rule("^X", "x", { flags: "im" }),
    rule("é😀", "e"),
  ]);
  const out = parsed(await through(middleware, textResult("me@home\nxé😀y😀")));
  assert.equal(out.content[0]!.text, "home:me:me@home:$1:$9\nxey😀");
});

test("replaceText() goes through structured strings only when told to, never through names", async () => {
  const structuredContent = { "a b": "a", list: ["a", { a: "xa" }], n: 1 };
  const result = textResult("-", { structuredContent });
  assert.equal(await through(replaceText([rule("a", "b")]), result), result);
  const out = parsed(await through(replaceText([rule("a", '"b')], undefined), result));
  assert.deepEqual(out.structuredContent, structuredContent);
  const both = await through(replaceText([rule("a", '"b', { structured: true })]), result);
  assert.deepEqual(parsed(both).structuredContent, {
    "a b": '"b',
    list: ['"b', { a: 'x"b' }],
    n: 1,
  });
});

test("replaceText() takes no more than time in proportion to the text", async () => {
  const middleware = replaceText([rule("(x+x+)+y", "z"), rule(".*.*.*=", "z", { flags: "s" })]);
  const result = textResult("x".repeat(20_000));
  assert.equal(await through(middleware, result), result);
});

test("replaceText() refuses a result that is beyond its bounds", async () => {
  const few = replaceText([rule("a", "b")], { characters: 100, time: 1000 });
  await assert.rejects(through(few, textResult("x".repeat(101))), /"t": it has too much text/);
  let now = 0;
  const slow = replaceText([rule("a", "b")], { characters: 100, time: 10 }, () => now += 6);
  await assert.rejects(through(slow, textResult("aaa")), /"t": it takes too long/);
});

test("replaceText() finds a structured string of any length, or refuses the result", async () => {
  const rules = [rule("sk-[a-z]{6}", "[key]", { structured: true })];
  // What is bounded here is the text, not the time: the machine may be busy.
  const unhurried = () => replaceText(rules, undefined, () => 0);
  const structuredContent = {
    long: `${"a\n".repeat(1_900_000)}sk-abcdef`,
    "sk-abcdef": ["sk-abcdef"],
  };
  const result = JSON.stringify({ content: [], structuredContent });
  const out = parsed(await through(unhurried(), result));
  const { long, ...rest } = out.structuredContent as { readonly long: string };
  assert.equal(long.slice(-6), "\n[key]");
  assert.deepEqual(rest, { "sk-abcdef": ["[key]"] });
  const over = JSON.stringify({ structuredContent: "\n".repeat(4_200_000) + "sk-abcdef" });
  await assert.rejects(through(unhurried(), over), /it has too much text/);
});

test("replaceText() refuses every result while a pattern is none", async () => {
  await assert.rejects(through(replaceText([rule("(", "b")]), textResult("x")));
});
