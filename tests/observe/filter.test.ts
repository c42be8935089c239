/** The language that chooses calls: a table of terms, and what is said of those that are none. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ObservedCall } from "../../src/observe/call.ts";
import { FilterError, parseFilter } from "../../src/observe/filter.ts";

const CALL: ObservedCall = {
  id: "r7",
  at: 1_764_500_000_000,
  method: "tools/call",
  server: "github",
  name: "github_search_code",
  ownName: "search_code",
  client: "Claude Code 2.1",
  session: "claude-1",
  endpoint: "/mcp",
  outcome: "error",
  code: -32603,
  ms: 1_500,
  queueMs: 0,
  serverMs: 1_499,
  gatewayMs: 1,
  bytesIn: 120,
  bytesOut: 70_000,
  attempts: 1,
  traceId: "0af7651916cd43dd8448eb211c80319c",
};

test("terms choose a call, or do not", () => {
  const chosen: Readonly<Record<string, boolean>> = {
    "": true,
    "   ": true,
    "server:github": true,
    "server:git": false,
    "server:git*": true,
    "server:GitHub": true,
    "server:gitlab,github": true,
    "server:{gitlab,github}": true,
    "-server:github": false,
    "-server:gitlab": true,
    "name:github_search_code": true,
    "name:search_code": true,
    "name:search": false,
    "-name:*_list": true,
    "outcome:error": true,
    "outcome:*error": true,
    "-outcome:ok,input_required": true,
    "method:tools/*": true,
    'client:"claude code"': true,
    'client:"claude code 2.1"': true,
    "client:claude": false,
    "session:claude-1": true,
    "endpoint:/mcp": true,
    "id:r7": true,
    "trace:0af7*": true,
    // What is not there has no value.
    "who:*": false,
    "-who:*": true,
    "via:execute_tool": false,
    "code:-32603": true,
    "code:-32601,-32603": true,
    "code:<0": true,
    "ms:1500": true,
    "ms:1.5s": true,
    "ms:>1.5s": false,
    "ms:>=1.5s": true,
    "ms:>500": true,
    "ms:<500": false,
    "ms:<=1500": true,
    "queueMs:0": true,
    "serverMs:>1s": true,
    "gatewayMs:<2": true,
    "bytesIn:120": true,
    "bytesOut:>65536": true,
    SEARCH: true,
    claude: true,
    hub: true,
    nothing: false,
    "-nothing": true,
    "nothing,hub": true,
    '"claude code"': true,
    '"code claude"': false,
    "git*code": true,
    // Every term has to hold.
    "server:github outcome:error ms:>500 -name:*_list code": true,
    "server:github outcome:ok": false,
  };
  const found = Object.keys(chosen).map((text) => [text, parseFilter(text)(CALL)]);
  assert.deepEqual(Object.fromEntries(found), chosen);
});

test("what is no filter is said, with what was meant", () => {
  const told: Readonly<Record<string, string>> = {
    "sever:github": 'Unknown key "sever" in the filter (did you mean "server"?)',
    "queue_ms:>1": 'Unknown key "queue_ms" in the filter (did you mean "queueMs"?)',
    "file:///x":
      'Unknown key "file" in the filter; expected one of server, name, outcome, method, client, ' +
      "session, endpoint, who, via, id, trace, ms, queueMs, serverMs, gatewayMs, code, bytesIn, " +
      "bytesOut",
    "constructor:x":
      'Unknown key "constructor" in the filter; expected one of server, name, outcome, method, ' +
      "client, session, endpoint, who, via, id, trace, ms, queueMs, serverMs, gatewayMs, code, " +
      "bytesIn, bytesOut",
    "outcome:eror": 'Unknown outcome "eror" in the filter (did you mean "error"?)',
    "outcome:bad":
      'Unknown outcome "bad" in the filter; expected one of ok, tool_error, error, refused, ' +
      "unavailable, timeout, cancelled, input_required",
    "server:": 'Cannot read "server:": a value is missing; expected key:value',
    "server:a,": 'Cannot read "server:a,": a value is missing; expected key:value',
    "server:,a": 'Cannot read "server:,a": a value is missing; expected key:value',
    'name:""': 'Cannot read "name:\\"\\"": a value is missing; expected key:value',
    "-": 'Cannot read "-": a value is missing; expected key:value',
    "ms:slow": 'Cannot read "ms:slow": expected a number such as 500, >500 or >=1.5s',
    "ms:>": 'Cannot read "ms:>": expected a number such as 500, >500 or >=1.5s',
    "code:>1s": 'Cannot read "code:>1s": expected a number such as 500, >500 or <=500',
    [`name:${"{a,b}".repeat(9)}`]:
      'Cannot read "name:{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}": it has too many ' +
      "alternatives",
    ["a ".repeat(51)]: "Cannot read the filter: it has more than 50 terms",
    ["a".repeat(1_001)]: "Cannot read the filter: it is longer than 1000 characters",
  };
  const said = Object.keys(told).map((text) => {
    try {
      parseFilter(text);
      return [text, undefined];
    } catch (error) {
      assert.ok(error instanceof FilterError, String(error));
      return [text, error.message];
    }
  });
  assert.deepEqual(Object.fromEntries(said), told);
});

test("a quote that nobody closes goes to the end, and odd texts are looked for as they are", () => {
  assert.equal(parseFilter('server:"github')(CALL), true);
  assert.equal(parseFilter('name:"a, b"')({ ...CALL, name: "a, b" }), true);
  assert.equal(parseFilter('"file:///x"')({ ...CALL, name: "file:///x/y" }), true);
  assert.equal(parseFilter("[a-z]+ (")(CALL), false);
});
