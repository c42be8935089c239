/** What stands under telling keys, in JSON that is whole, cut, or in a string of JSON. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { withoutKeyed } from "../../src/lib/keyed-secrets.ts";

test("what stands under a telling key goes, whatever JSON it is in", () => {
  const rows: Readonly<Record<string, string>> = {
    '{"password":"a\\"b\\\\","x":1}': '{"password":"[redacted]","x":1}',
    '{"password" : "a" , "x":1}': '{"password" : "[redacted]" , "x":1}',
    '{"token":12.5,"x":1}': '{"token":"[redacted]","x":1}',
    '{"token":"","secret":null,"cookie":false}': '{"token":"","secret":null,"cookie":false}',
    '{"credentials":{"a":"}","b":[1,"]"]},"x":1}': '{"credentials":"[redacted]","x":1}',
    '{"secret":[{"a":1}],"x":[{"apiKey":"k"}]}':
      '{"secret":"[redacted]","x":[{"apiKey":"[redacted]"}]}',
    '{"pagetoken":"p","nextPageToken":"p","keyboard":"p"}':
      '{"pagetoken":"p","nextPageToken":"p","keyboard":"p"}',
    // In a string, and in a string in that.
    '{"t":"{\\"password\\":\\"a\\\\\\"b\\",\\"x\\":1}"}':
      '{"t":"{\\"password\\":\\"[redacted]\\",\\"x\\":1}"}',
    '{"t":"\\"{\\\\\\"secret\\\\\\": {\\\\\\"a\\\\\\":1}}\\""}':
      '{"t":"\\"{\\\\\\"secret\\\\\\": \\\\\\"[redacted]\\\\\\"}\\""}',
    // Cut anywhere, and no JSON.
    '{"a":1,"password":"abc': '{"a":1,"password":"[redacted]"',
    '{"a":1,"credentials":{"b":': '{"a":1,"credentials":"[redacted]"',
    '{"a":1,"password":': '{"a":1,"password":"[redacted]"',
    '{"t":"{\\"password\\":\\"abc"}': '{"t":"{\\"password\\":\\"[redacted]\\""}',
    '":': '":',
    '"password":}': '"password":}',
    "": "",
  };
  const made = Object.keys(rows).map((text) => [text, withoutKeyed(text)]);
  assert.deepEqual(Object.fromEntries(made), rows);
  for (const text of Object.keys(rows)) {
    if (!/^\{.*\}$/.test(text) || text === '{"t":"{\\"password\\":\\"abc"}') continue;
    JSON.parse(withoutKeyed(text));
  }
});

test("a text that is made to take long takes no longer than its length", () => {
  const texts = [
    '"password":{'.repeat(5_000),
    "\\".repeat(60_000),
    '":'.repeat(30_000),
    '"a":"'.repeat(12_000),
  ];
  for (const text of texts) assert.ok(withoutKeyed(text).length <= text.length + 100);
});
