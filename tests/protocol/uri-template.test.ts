import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  bySpecificity,
  MAX_MATCHED_URI,
  parseUriTemplate,
} from "../../src/protocol/uri-template.ts";

function check(template: string, yes: readonly string[], no: readonly string[]): void {
  const { matches } = parseUriTemplate(template);
  for (const uri of yes) assert.ok(matches(uri), `${template} should match ${uri}`);
  for (const uri of no) assert.ok(!matches(uri), `${template} should not match ${uri}`);
}

test("parseUriTemplate() matches {var} within a segment", () => {
  check(
    "demo://resource/{id}/text",
    ["demo://resource/1/text", "demo://resource/a%20b,c/text", "demo://resource/ü x/text"],
    ["demo://resource//text", "demo://resource/1/2/text", "demo://resource/1/texts", "demo://"],
  );
  check("t://{a}-{b}", ["t://1-2", "t://1-2-3"], ["t://1", "t://-2", "t://1-"]);
  check("t://{a,b}", ["t://1,2", "t://1"], ["t://1/2"]);
  check("t://{a:3}/{list*}", ["t://abc/x,y"], ["t://abc"]);
});

test("parseUriTemplate() matches {+var} across segments", () => {
  check("file:///{+path}", ["file:///a", "file:///a/b?c#d"], ["file:///", "file://a"]);
  check("{+all}", ["x", "a:/b"], [""]);
  check("t://{+a}/end", ["t://x/y/end", "t:///end/end"], ["t://x/y"]);
});

test("parseUriTemplate() lets the other operators expand to nothing", () => {
  check("t://x{/a}", ["t://x", "t://x/1", "t://x/"], ["t://x1", "t://x/1/2"]);
  check("t://x{/a,b}", ["t://x", "t://x/1", "t://x/1/2"], ["t://x/1/2/3"]);
  check("t://x{/path*}", ["t://x", "t://x/1/2/3"], ["t://x1"]);
  check("t://x{?a,b}", ["t://x", "t://x?a=1", "t://x?b=2&a=/"], ["t://xa=1", "t://x#a"]);
  check("t://x?k=1{&a}", ["t://x?k=1", "t://x?k=1&a=2"], ["t://x", "t://x?k=1a"]);
  check("t://x{#frag}", ["t://x", "t://x#a/b"], ["t://x/b"]);
  check("t://x{.ext}", ["t://x", "t://x.json"], ["t://xjson", "t://x.a/b"]);
  check("t://x{;v}", ["t://x", "t://x;v=1"], ["t://x/v"]);
});

test("parseUriTemplate() takes what is no expression literally", () => {
  check("t://{", ["t://{"], ["t://x"]);
  check("t://{}", ["t://{}"], ["t://x"]);
  check("t://{=x}/{ y }", ["t://{=x}/{ y }"], ["t://a/b"]);
  check("t://a", ["t://a"], ["t://b", "t://ab", ""]);
  check("", [""], ["x"]);
});

test("parseUriTemplate() gives templates for the same URIs the same shape", () => {
  const shape = (template: string) => parseUriTemplate(template).shape;
  assert.equal(shape("t://{a}/x"), shape("t://{other}/x"));
  assert.notEqual(shape("t://{a}/x"), shape("t://{+a}/x"));
  assert.notEqual(shape("t://{a}/x"), shape("t://{a}/y"));
});

test("bySpecificity() puts the more literal and the narrower first", () => {
  const order = ["t://x/{a}/y", "t://x/{a}", "t://x/{a}{/b}", "t://x/{+a}", "t://{a}", "{+all}"];
  assert.deepEqual(
    order.toReversed().sort((a, b) => bySpecificity(parseUriTemplate(a), parseUriTemplate(b))),
    order,
  );
});

test("parseUriTemplate() ends where a regular expression would not", () => {
  const hostile = parseUriTemplate(`${"{+a}x".repeat(30)}y{b}`);
  assert.equal(hostile.matches("x".repeat(MAX_MATCHED_URI)), false);
  assert.equal(parseUriTemplate("{+a}").matches("x".repeat(MAX_MATCHED_URI + 1)), false);
  assert.equal(parseUriTemplate("{a}".repeat(100)).matches("x".repeat(200)), false);
});

test("parseUriTemplate() matches every expansion of its own", () => {
  const value = fc.string({ minLength: 1, maxLength: 10 }).map(encodeURIComponent)
    .filter((encoded) => encoded !== "");
  const piece = fc.oneof(
    fc.constantFrom("/", "a", "://", "-", "?q=").map((text) => ({ template: text, uri: text })),
    value.map((uri) => ({ template: "{v}", uri })),
    fc.tuple(value, value).map(([a, b]) => ({ template: "{+v}", uri: `${a}/${b}` })),
    value.map((uri) => ({ template: "{/v}", uri: `/${uri}` })),
    value.map((uri) => ({ template: "{?v}", uri: `?v=${uri}` })),
    fc.constantFrom("{/v}", "{?v,w}", "{&v}", "{#v}").map((template) => ({ template, uri: "" })),
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
    const template = pieces.map((one) => one.template).join("");
    const uri = pieces.map((one) => one.uri).join("");
    assert.ok(parseUriTemplate(template).matches(uri), `${template} ${uri}`);
  }));
});

test("parseUriTemplate() never throws", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: fc.constantFrom("{", "}", "+", "a", ",", "*", ":", "/", "?") }),
  );
  fc.assert(fc.property(text, text, (template, uri) => {
    assert.equal(typeof parseUriTemplate(template).matches(uri), "boolean");
  }));
});
