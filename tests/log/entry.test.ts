import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createRedactor } from "../../src/lib/secrets.ts";
import {
  journalEncoder,
  type LogFormat,
  renderEntry,
  syslogBody,
  textEncoder,
} from "../../src/log/entry.ts";
import { record } from "./support.ts";

const plain = { format: "text" as LogFormat, redactor: createRedactor() };
const json = { format: "json" as LogFormat, redactor: createRedactor() };
const text = textEncoder({ colors: false });

test("text format is aligned, readable, and shows each property once", () => {
  const properties = { ms: 210, tools: 9, resources: 1, rid: "ab12" };
  assert.equal(
    text(renderEntry(record("Ready in {ms} ms", properties), plain)),
    "2026-11-20T20:00:00.123Z info  upstream memory  Ready in 210 ms  tools=9 resources=1 rid=ab12",
  );
  assert.equal(
    text(renderEntry(record("Hi", {}, { level: "warning", category: ["mcproxy", "cli"] }), plain)),
    "2026-11-20T20:00:00.123Z warn  cli              Hi",
  );
});

test("text format quotes values only where it must", () => {
  const properties = {
    a: "x y",
    b: "",
    c: 'q"',
    d: "/p:1,2",
    e: { k: [1] },
    f: null,
    g: undefined,
  };
  assert.equal(
    renderEntry(record("m", properties), plain).fields,
    'a="x y" b="" c="q\\"" d=/p:1,2 e="{\\"k\\":[1]}" f=null',
  );
});

test("text format tells an error in one line, with its stack from level error on", () => {
  const error = new Error("Cannot start", { cause: new Error("spawn ENOENT") });
  const warning = renderEntry(record("Failed", { error }, { level: "warning" }), plain);
  assert.equal(warning.fields, 'error="Cannot start: spawn ENOENT"');
  assert.deepEqual(warning.detail, []);
  const lines = text(renderEntry(record("Failed", { error }, { level: "error" }), plain)).split(
    "\n",
  );
  assert.match(lines[0] ?? "", /Failed {2}error="Cannot start: spawn ENOENT"$/);
  assert.ok(lines.length > 1);
  for (const line of lines.slice(1)) assert.match(line, /^ {4}\S/);
});

test("json format is one object per line with flat fields", () => {
  const line = renderEntry(record("Ready in {ms} ms", { ms: 210, rid: "ab12", level: "x" }), json);
  assert.deepEqual(JSON.parse(line.json ?? ""), {
    ts: "2026-11-20T20:00:00.123Z",
    level: "info",
    logger: "mcproxy.upstream.memory",
    msg: "Ready in 210 ms",
    ms: 210,
    rid: "ab12",
    level_: "x",
  });
});

test("json format keeps the correlation id of a record that is too long", () => {
  const many = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`f${i}`, "x".repeat(8000)]));
  const line = renderEntry(record("m", { ...many, rid: "ab12" }), json).json ?? "";
  assert.ok(line.length < 1000);
  assert.equal(JSON.parse(line).rid, "ab12");
  assert.match(JSON.parse(line).truncated, /characters/);
});

test("json format carries an error's parts, its stack only from level error on", () => {
  const error = Object.assign(new Error("no"), { code: "ENOENT" });
  const at = (level: "warning" | "error") =>
    JSON.parse(renderEntry(record("m", { error }, { level }), json).json ?? "").error;
  assert.deepEqual(at("warning"), { name: "Error", message: "no", code: "ENOENT" });
  assert.match(at("error").stack, /\n/);
});

test("journal format gives every line its priority", () => {
  const error = new Error("no");
  const lines = journalEncoder()(
    renderEntry(record("Failed", { error }, { level: "fatal" }), plain),
  )
    .split("\n");
  assert.equal(lines[0], "<2>upstream memory: Failed  error=no");
  assert.ok(lines.length > 1 && lines.every((line) => line.startsWith("<2>")));
  assert.match(journalEncoder()(renderEntry(record("m"), json)), /^<6>\{"ts":/);
});

test("colours appear only where asked for", () => {
  const shown = renderEntry(record("m", { a: 1 }), plain);
  assert.equal(text(shown).includes("\x1b"), false);
  assert.ok(textEncoder({ colors: true })(shown).includes("\x1b[32minfo \x1b[0m"));
});

test("nothing from outside ends a line or drives a terminal", () => {
  // deno-lint-ignore no-control-regex
  const unsafe = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202e]/;
  fc.assert(fc.property(
    fc.string({ unit: "binary" }),
    fc.constantFrom("\n2026-11-20T20:00:00.123Z info  forged", "\r", "\x1b[2J", "\u2028", "\u009b"),
    (around, attack) => {
      const evil = around + attack + around;
      const properties = { [evil]: evil, value: evil, nested: { [evil]: evil } };
      const made = record("got {value}", properties, { category: ["mcproxy", "upstream", evil] });
      const shown = renderEntry(made, plain);
      for (const line of [text(shown), syslogBody(shown), renderEntry(made, json).json ?? ""]) {
        assert.ok(!unsafe.test(line) && !line.includes("\n"), JSON.stringify(line));
      }
    },
  ));
});

test("no secret survives in any format", () => {
  const secret = fc.string({ minLength: 6, maxLength: 30 }).filter((s) => s.trim().length >= 6);
  fc.assert(
    fc.property(secret, fc.constantFrom("info" as const, "error" as const), (word, level) => {
      // Something that no other part of a line can contain by chance.
      const canary = `§${word}§`;
      const redactor = createRedactor([canary]);
      const error = new Error(`failed: ${canary}`, { cause: canary });
      const properties = { x: canary, url: `http://${canary}@h/`, o: { deep: [canary] }, error };
      const made = record(`Said ${canary} and {x} and {o}`, properties, { level });
      const shown = renderEntry(made, { format: "text", redactor });
      const object = renderEntry(made, { format: "json", redactor }).json ?? "";
      for (const line of [text(shown), syslogBody(shown), JSON.stringify(JSON.parse(object))]) {
        assert.ok(!line.includes("§"), line);
      }
    }),
  );
});

test("a secret is masked by its property's name, inside the message too", () => {
  const made = record("Using {token} for {name}", { token: "abc", name: "x", password: "p" });
  const shown = renderEntry(made, plain);
  assert.equal(shown.message, "Using [redacted] for x");
  assert.equal(shown.fields, "password=[redacted]");
});

test("long messages and values are cut, after redaction", () => {
  const redactor = createRedactor(["s3cr3t-s3cr3t"]);
  const long = "a".repeat(2_040) + "s3cr3t-s3cr3t" + "b".repeat(500);
  const shown = renderEntry(record("m", { long }), { format: "text", redactor });
  assert.match(shown.fields, /^long="?a{2040}\[redacte… \(\d+ more characters\)"?$/);
  assert.ok(renderEntry(record("x".repeat(99_999)), plain).message.length < 8_300);
});

test("what names no property is text, and no template", () => {
  const foreign = '{"msg": "API key missing"}';
  for (const format of [plain, json]) {
    const shown = renderEntry(record(`stderr: ${foreign}`, { server: "x" }), format);
    assert.equal(shown.message, `stderr: ${foreign}`);
  }
  assert.equal(renderEntry(record("a {{b}} {c}", { b: 1 }), plain).message, "a {b} {c}");
  assert.equal(renderEntry(record("{toString} {{x}", { x: 1 }), plain).message, "{toString} {x}");
});

test("a masked template is still filled in, and its own words stay", () => {
  const redactor = createRedactor(["running", "memory", "ver-sion9"], (word) => word === "memory");
  const properties = { version: "1.2", runtime: "deno running", server: "memory" };
  const made = record("is running {version} on {runtime}: ver-sion9", properties);
  const shown = renderEntry(made, { format: "text", redactor });
  assert.equal(shown.category, "upstream memory");
  assert.equal(shown.message, "is running 1.2 on deno [redacted]: [redacted]");
  assert.equal(shown.fields, "server=memory");
  const object = JSON.parse(renderEntry(made, { format: "json", redactor }).json ?? "");
  assert.equal(object.logger, "mcproxy.upstream.memory");
  assert.equal(object.server, "memory");
});
