import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { labelUri, splitLabel, uriLabels } from "../../src/protocol/names.ts";

test("labelUri() puts the server in front, and into the authority of ui://", () => {
  assert.equal(labelUri("docs", "file:///a b"), "docs+file:///a b");
  assert.equal(labelUri("docs", "git+https://x"), "docs+git+https://x");
  assert.equal(labelUri("docs", "{+path}"), "docs+{+path}");
  assert.equal(labelUri("docs", "ui://clock/app.html"), "ui://docs+clock/app.html");
  assert.equal(labelUri("docs", "UI://clock"), "UI://docs+clock");
});

test("uriLabels() are valid in a scheme and never alike", () => {
  assert.deepEqual(
    [...uriLabels(["docs", "My Server", "9lives", "", "é"])],
    [["docs", "docs"], ["My Server", "my-server"], ["9lives", "s9lives"], ["", "s"], ["é", "s-"]],
  );
  const labels = uriLabels(["a_b", "a-b", "A-B", "c"]);
  assert.equal(labels.get("c"), "c");
  for (const server of ["a_b", "a-b", "A-B"]) {
    assert.match(labels.get(server)!, /^a-b-[a-z2-7]{8}$/);
  }
  assert.equal(new Set(labels.values()).size, 4);
});

const text = fc.string({ unit: "binary", maxLength: 12 });

test("uriLabels() are schemes, unique, and independent of order", () => {
  fc.assert(fc.property(fc.uniqueArray(text, { maxLength: 12 }), (servers) => {
    const labels = uriLabels(servers);
    assert.equal(new Set(labels.values()).size, servers.length);
    for (const label of labels.values()) assert.match(label, /^[a-z][a-z0-9.-]*$/);
    const reversed = uriLabels(servers.toReversed());
    for (const server of servers) assert.equal(reversed.get(server), labels.get(server));
  }));
});

test("splitLabel() takes apart what labelUri() put together", () => {
  const uri = fc.oneof(
    text,
    text.map((rest) => `ui://${rest}`),
    text.map((rest) => `x+file:///${rest}`),
    fc.webUrl(),
  );
  fc.assert(fc.property(text, uri, (server, given) => {
    const label = uriLabels([server]).get(server)!;
    assert.deepEqual(splitLabel(labelUri(label, given)), { label, uri: given });
  }));
});

test("splitLabel() says undefined where there is no plus", () => {
  assert.equal(splitLabel("file:///a"), undefined);
  assert.equal(splitLabel("ui://a"), undefined);
  assert.equal(splitLabel(""), undefined);
});
