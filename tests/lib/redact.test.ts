import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import fc from "fast-check";
import {
  createRedactor,
  isMaskable,
  isSensitiveKey,
  keepSecret,
  MIN_SECRET_LENGTH,
  REDACTED,
} from "../../src/lib/secrets.ts";
import { processorTime } from "../support/processor-time.ts";

const secret = fc.string({ minLength: MIN_SECRET_LENGTH, maxLength: 24, unit: "grapheme" })
  .filter(isMaskable);

/** What is left of the original when the masks are taken out must hold no secret. */
function assertClean(out: string, secrets: readonly string[]): void {
  for (const part of out.split(REDACTED)) {
    for (const secret of secrets) {
      assert.ok(!part.includes(secret), `${JSON.stringify(secret)} in ${JSON.stringify(out)}`);
    }
  }
}

test("text() lets no secret survive, however they overlap", () => {
  // A small alphabet makes secrets that contain, overlap and repeat each other.
  const dense = fc.string({
    minLength: MIN_SECRET_LENGTH,
    maxLength: 9,
    unit: fc.constantFrom("a", "b", "/", "="),
  }).filter(isMaskable);
  const piece = fc.oneof(dense, fc.string());
  fc.assert(fc.property(
    fc.array(fc.oneof(secret, dense), { minLength: 1, maxLength: 5 }),
    fc.array(piece, { maxLength: 6 }),
    (secrets, pieces) => {
      const input = pieces.map((piece, i) => piece + (secrets[i % secrets.length] ?? "")).join("");
      assertClean(createRedactor(secrets).text(input), secrets);
    },
  ));
});

test("value() lets no secret survive in keys, values, numbers and errors at any depth", () => {
  fc.assert(fc.property(
    secret,
    fc.jsonValue({ maxDepth: 4 }),
    fc.string(),
    (secret, json, around) => {
      const error = new Error(`${around}${secret}${around}`, { cause: new TypeError(secret) });
      const input = {
        json,
        list: [[`${around}${secret}`], new Map([[secret, secret]]), new Set([secret])],
        [secret]: { error, all: new AggregateError([error], secret) },
      };
      const out = createRedactor([secret]).value(input);
      const strings: string[] = [];
      JSON.stringify(out, (key, value) => {
        strings.push(key);
        if (typeof value === "string") strings.push(value);
        return value;
      });
      for (const text of strings) assertClean(text, [secret]);
    },
  ));
});

test("text() leaves everything else alone", () => {
  const redactor = createRedactor(["hunter22", "sho"]);
  const input = "Basic support for bearer of news; a short https://example.com/a@b?x=1&page=2";
  assert.equal(redactor.text(input), input);
  assert.equal(redactor.text("pw=hunter22!"), `pw=${REDACTED}!`);
});

test("text() knows a secret escaped as JSON, as URL, and line by line", () => {
  const redactor = createRedactor(['pa"ss word\\', "line-one\nline-two"]);
  assert.equal(redactor.text(JSON.stringify({ a: 'pa"ss word\\' })), `{"a":"${REDACTED}"}`);
  assert.equal(redactor.text("x=" + encodeURIComponent('pa"ss word\\')), `x=${REDACTED}`);
  assert.equal(redactor.text("got line-two."), `got ${REDACTED}.`);
});

test("text() leaves the lines of a secret that are no secret alone", () => {
  const { text } = createRedactor(['{\n    "key": {\n      "id": "x1y2"\n    }\n}\n']);
  assert.equal(text('got "id": "x1y2"'), `got ${REDACTED}`);
  assert.equal(text('{\n    "a": {\n    }\n}'), '{\n    "a": {\n    }\n}');
});

test("text() knows a secret in JSON inside JSON, and on one line", () => {
  const secret = 'a"b\\c\td-secret';
  const { text } = createRedactor([secret]);
  for (let told = secret, level = 0; level < 5; level++) {
    assert.equal(text(`<${told}>`), `<${REDACTED}>`);
    told = JSON.stringify(told).slice(1, -1);
  }
  assert.equal(text('<a"b\\c d-secret>'), `<${REDACTED}>`);
});

test("text() masks the beginning of a secret that a cut ends", () => {
  const { text } = createRedactor(["hunter2-hunter2-secret", "another-secret"]);
  for (let length = MIN_SECRET_LENGTH; length < 22; length++) {
    const begun = "hunter2-hunter2-secret".slice(0, length);
    assert.equal(text(`x ${begun}… and ${begun}…`), `x ${REDACTED}… and ${REDACTED}…`, begun);
  }
  assert.equal(text("x=another-s…"), `x=${REDACTED}…`);
  assert.equal(text("hunter2-x…, hun…"), "hunter2-x…, hun…");
  // The longest beginning counts, and a whole secret before it does not end the search.
  const all = text("hunter2-hunter2-secrethunter2-hunt…");
  assert.equal(all, `${REDACTED}…`);
});

test("text() knows the credential inside a header value", () => {
  const basic = `Basic ${Buffer.from("user:correct horse").toString("base64")}`;
  const redactor = createRedactor(["Bearer abcdef", basic]);
  assert.equal(redactor.text("token abcdef rejected"), `token ${REDACTED} rejected`);
  assert.equal(redactor.text("login with correct horse"), `login with ${REDACTED}`);
});

test("text() masks credentials that show by their form", () => {
  const { text } = createRedactor();
  const cases: [string, string][] = [
    ["http://user:p@ss@host/x", `http://${REDACTED}@host/x`],
    ["https://tok@host", `https://${REDACTED}@host`],
    ["GET /a?access_token=abc&b=1", `GET /a?access_token=${REDACTED}&b=1`],
    ["/cb?code=xyz#f", `/cb?code=${REDACTED}#f`],
    ["Authorization: Bearer abc.def-123", `Authorization: Bearer ${REDACTED}`],
    ['"authorization": "basic dXNlcjpwYXNz"', `"authorization": "basic ${REDACTED}"`],
    ["sent bearer a1b2c3d4e5", `sent bearer ${REDACTED}`],
  ];
  for (const [input, output] of cases) assert.equal(text(input), output);
});

test("text() stays fast on any number of cuts", () => {
  const secrets = Array.from({ length: 200 }, (_, i) => `secret-${i}-${"s".repeat(2_000)}`);
  const { text } = createRedactor(secrets);
  const timeOf = (count: number) => {
    const input = "secret-…".repeat(count);
    return processorTime(() => text(input));
  };
  const some = timeOf(5_000);
  const many = timeOf(20_000);
  // Four times as many take four times as long, and not sixteen times.
  assert.ok(many < 10 * some, `${some} ms, and ${many} ms for four times as many`);
});

test("text() stays fast on long hostile input", () => {
  const { text } = createRedactor(["aaaaaaaaab"]);
  for (const hostile of ["a", "://", "?a", "?token=", "bearer ", "authorization:bearer ", "@"]) {
    const input = hostile.repeat(Math.ceil(200_000 / hostile.length));
    assert.ok(processorTime(() => text(input)) < 2_000, `${hostile} repeated is slow`);
  }
});

test("createRedactor() ignores secrets that are too short", () => {
  const redactor = createRedactor(["12345", "", "true", "k3y", "    "]);
  assert.equal(redactor.text("true 12345    k3y"), "true 12345    k3y");
});

test("createRedactor() leaves what every log is made of, and masks other short values", () => {
  const line =
    'Server "a" main ready, tools/list in 10.75 s, mcproxy 1.0.0, /tmp/a, fully, written';
  const plain = ["main", "read", "list", "0.75", "1.0.0", "/tmp", "full", "write", "prod"];
  assert.equal(createRedactor(plain).text(line), line);
  const redactor = createRedactor(["k3y!", "abcd", "root1", "/a1b", "1.2-3"]);
  assert.equal(redactor.text("k3y! abcd root1 /a1b 1.2-3"), Array(5).fill(REDACTED).join(" "));
});

test("keepSecret() is known to every redactor, unless anybody could have guessed it", () => {
  const { text } = createRedactor();
  const line = 'Server "a" is other than ready, Upstream refused, tools/call done, count 1234567';
  const plain = ["other", "Upstream", "tools/call", "refused", "1234567", "is other than", ""];
  for (const one of plain) keepSecret(one);
  assert.equal(text(line), line);
  for (const one of ["kept-late-1", "qWeRtYuI", "lowercase-and-as-long-as-that"]) {
    keepSecret(one);
    assert.equal(text(`got <${one}>`), `got <${REDACTED}>`);
  }
  assert.equal(text("got kept-la…"), `got ${REDACTED}…`);
});

test("keepSecret() keeps what one uses, however many secrets others bring", () => {
  const { text } = createRedactor();
  keepSecret("shared-token-1", "the gateway");
  for (let n = 0; n < 500; n++) {
    keepSecret(`bobs-access-${n}`, "bob");
    keepSecret("bobs-client-secret-1", "bob");
    keepSecret(`user-token-${n}`, `user ${n}`);
  }
  for (const one of ["shared-token-1", "bobs-client-secret-1", "bobs-access-499", "user-token-0"]) {
    assert.equal(text(`got <${one}>`), `got <${REDACTED}>`);
  }
  assert.equal(text("got bobs-access-1"), "got bobs-access-1", "long out of use");
  for (let n = 0; n < 12; n++) keepSecret("shared-token-1", "bob");
  for (let n = 0; n < 12; n++) keepSecret(`bobs-access-${n}`, "bob");
  assert.equal(text("got shared-token-1"), `got ${REDACTED}`, "it is another's, too");
});

test("isSensitiveKey() knows the names secrets have", () => {
  const yes = [
    "Authorization",
    "proxy-authorization",
    "Cookie",
    "set-cookie",
    "X-API-Key",
    "token",
    "GITHUB_TOKEN",
    "accessToken",
    "password",
    "clientSecret",
    "Mcp-Session-Id",
  ];
  const no = ["progressToken", "pageToken", "tokens", "key", "author", "name", "secretary"];
  assert.deepEqual(yes.filter((key) => !isSensitiveKey(key)), []);
  assert.deepEqual(no.filter(isSensitiveKey), []);
});

test("value() masks by key, but shows whether there was anything", () => {
  const { value } = createRedactor();
  assert.deepEqual(
    value({
      token: "x",
      password: 5,
      cookie: ["a"],
      secret: "",
      apiKey: null,
      authorization: true,
    }),
    {
      token: REDACTED,
      password: REDACTED,
      cookie: REDACTED,
      secret: "",
      apiKey: null,
      authorization: true,
    },
  );
  assert.deepEqual(value(new Headers({ authorization: "Bearer x", accept: "a/b" })), {
    accept: "a/b",
    authorization: REDACTED,
  });
});

test("value() makes plain data of anything, and never throws", () => {
  const { value } = createRedactor();
  const cycle: Record<string, unknown> = { n: 1 };
  cycle.self = cycle;
  const thrower = {
    get bad(): never {
      throw new Error("no");
    },
  };
  assert.deepEqual(value({ cycle, thrower }), {
    cycle: { n: 1, self: "[circular]" },
    thrower: "[unreadable]",
  });
  assert.deepEqual(value([1n, NaN, () => 1, new Date(0), new URL("http://u:p@h/")]), [
    "1",
    "NaN",
    "[function]",
    "1970-01-01T00:00:00.000Z",
    `http://${REDACTED}@h/`,
  ]);
  assert.deepEqual(value(new Uint8Array(3)), "[3 bytes]");
  fc.assert(
    fc.property(fc.anything({ withMap: true, withSet: true, withNullPrototype: true }), (any) => {
      value(any);
    }),
  );
});

test("value() bounds depth, length and total", () => {
  const { value } = createRedactor();
  const deep = JSON.parse("[".repeat(20) + "]".repeat(20));
  assert.match(JSON.stringify(value(deep)), /too deep/);
  assert.equal((value(Array.from({ length: 500 }, () => 1)) as unknown[]).length, 101);
  const wide = Array.from({ length: 100 }, () => Array.from({ length: 100 }, () => "x"));
  assert.match(JSON.stringify(value(wide)), /too much/);
});

test("names are no secrets, whatever is in them", () => {
  const { text } = createRedactor(["query"], (word) => ["query", "pg_query"].includes(word));
  assert.equal(
    text('Unknown tool "pg_query", query; my_query'),
    `Unknown tool "pg_query", query; my_${REDACTED}`,
  );
});
