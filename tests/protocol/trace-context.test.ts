import assert from "node:assert/strict";
import { test } from "node:test";
import { editJson } from "../../src/lib/json-edit.ts";
import { callerTrace, readTraceContext, TraceContext } from "../../src/protocol/trace-context.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

for (
  const [text, flags] of [
    [`00-${TRACE}-${SPAN}-01`, "01"],
    [`00-${TRACE}-${SPAN}-00`, "00"],
    [`00-${TRACE}-${SPAN}-03`, "03"],
    [`00-${TRACE}-${SPAN}-ff`, "03"],
    [`cc-${TRACE}-${SPAN}-01`, "01"],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-brings`, "01"],
  ] as const
) {
  test(`"${text}" is a place in a trace`, () => {
    const found = readTraceContext(text, "a=1");
    assert.deepEqual(found, new TraceContext(TRACE, SPAN, flags, "a=1"));
    assert.equal(found!.isSampled, flags !== "00");
  });
}

for (
  const wrong of [
    undefined,
    null,
    7,
    "",
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-01 `,
    ` 00-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01\n`,
    `ff-${TRACE}-${SPAN}-01`,
    `0-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-0g`,
    `cc-${TRACE}-${SPAN}-01.more`,
    `cc-${TRACE}-${SPAN}-01-${"x".repeat(300)}`,
  ]
) {
  test(`${JSON.stringify(wrong)?.slice(0, 90)} is none`, () => {
    assert.equal(readTraceContext(wrong), undefined);
  });
}

test("a state that cannot be sent on is left out", () => {
  const state = (text: unknown) => readTraceContext(`00-${TRACE}-${SPAN}-01`, text)?.state;
  assert.equal(state("vendor=a, other=b"), "vendor=a, other=b");
  for (const wrong of ["", "a\r\nb: c", "ä=1", 5, "x".repeat(513)]) {
    assert.equal(state(wrong), undefined);
  }
});

test("parameters have the say before headers", () => {
  const headers = new Headers({ traceparent: `00-${TRACE}-${SPAN}-00`, tracestate: "h=1" });
  const other = SPAN.replace("b", "c");
  const traceparent = `00-${TRACE}-${other}-01`;
  const inParams = { _meta: { traceparent } };
  assert.equal(callerTrace(inParams, headers)?.spanId, other);
  // Its state belongs to a place, and is not that of another.
  assert.equal(callerTrace(inParams, headers)?.state, undefined);
  assert.equal(callerTrace({ _meta: { traceparent: "nonsense" } }, headers)?.spanId, SPAN);
  assert.equal(callerTrace({ _meta: 5 }, headers)?.state, "h=1");
  assert.equal(callerTrace(undefined, undefined), undefined);
});

test("a request gets its own place, and nothing else in it changes", () => {
  const place = new TraceContext(TRACE, SPAN, "01", 'k="v"');
  const { headers } = place;
  assert.deepEqual(headers, { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'k="v"' });
  const edits = place.edits(false);
  assert.equal(
    editJson('{"params":{"n":1e400,"_meta":{"traceparent":"old","baggage":"b=1"}}}', edits),
    `{"params":{"n":1e400,"_meta":{"tracestate":"k=\\"v\\"",` +
      `"traceparent":"00-${TRACE}-${SPAN}-01","baggage":"b=1"}}}`,
  );
  const bare = new TraceContext(TRACE, SPAN, "01", undefined).edits(false);
  assert.equal(
    editJson('{"id":1,"params":{"_meta":{"tracestate":"of another"}}}', bare),
    `{"id":1,"params":{"_meta":{"traceparent":"00-${TRACE}-${SPAN}-01"}}}`,
  );
  assert.equal(
    editJson('{"id":1}', bare),
    `{"params":{"_meta":{"traceparent":"00-${TRACE}-${SPAN}-01"}},"id":1}`,
  );
  const alone = place.edits(true);
  assert.equal(
    editJson('{"id":1,"params":{"a":1}}', alone),
    `{"id":1,"params":{"_meta":${JSON.stringify(headers)},"a":1}}`,
  );
});
