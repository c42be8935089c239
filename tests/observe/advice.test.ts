import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AdviceFigures,
  adviceFrom,
  type ServerFigures,
  type ToolFigures,
} from "../../src/observe/advice.ts";

const tool = (more: Partial<ToolFigures> = {}): ToolFigures => ({
  ...{ name: "s_read", own: "read", server: "s", tokens: 100, isReadOnly: true, isCached: false },
  ...{ calls: 100, repeats: 0, ...more },
});
const WEEK = { calls: 100, failed: 0, p95: 40 };
const server = (more: Partial<ServerFigures> = {}): ServerFigures => ({
  ...{ name: "s", isLazy: false, days: 30, week: WEEK, before: WEEK, ...more },
});
const figures = (more: Partial<AdviceFigures> = {}): AdviceFigures => ({
  ...{ days: 30, calls: 1_000, tools: [tool()], servers: [server()] },
  ...{ gating: { gated: false, savedTokens: 0 }, ...more },
});

const ROWS: readonly (readonly [what: string, figures: AdviceFigures, said: readonly string[]])[] =
  [
    ["all is well", figures(), []],
    ["a tool without calls", figures({ tools: [tool({ calls: 0 })] }), [
      'unused s 100 tokens {"mcpServers":{"s":{"tools":{"exclude":["read"]}}}}',
    ]],
    ["that, and 29 days", figures({ tools: [tool({ calls: 0 })], days: 29 }), []],
    ["a long definition", figures({ tools: [tool({ tokens: 501 })] }), [
      'long s_read 501 tokens {"mcpServers":{"s":{"tools":{"override":{"read":{"description":"…"}}}}}}',
    ]],
    ["one that is not long", figures({ tools: [tool({ tokens: 500 })] }), []],
    ["a server of few days", figures({ servers: [server({ days: 3 })] }), [
      'lazy s 3 of 30 days {"mcpServers":{"s":{"lazy":true}}}',
    ]],
    ["a lazy one", figures({ servers: [server({ days: 3, isLazy: true })] }), []],
    ["few days of few", figures({ servers: [server({ days: 3 })], days: 8 }), [
      'lazy s 3 of 8 days {"mcpServers":{"s":{"lazy":true}}}',
    ]],
    ["the same again", figures({ tools: [tool({ repeats: 50 })] }), [
      'cache s_read 50 of 100 calls {"mcpServers":{"s":{"cache":{"read":{"ttl":"10m"}}}}}',
    ]],
    ["that, cached", figures({ tools: [tool({ repeats: 50, isCached: true })] }), []],
    ["that, writing", figures({ tools: [tool({ repeats: 50, isReadOnly: false })] }), []],
    ["that, less", figures({ tools: [tool({ repeats: 49 })] }), []],
    ["that, seldom", figures({ tools: [tool({ calls: 49, repeats: 49 })] }), []],
    ["twice as slow", figures({ servers: [server({ week: { ...WEEK, p95: 80 } })] }), [
      'slower s p95 80 ms, was 40 ms {"alerts":{"rules":[{"when":"slow","p95":80,"in":"10m","servers":["s"]}]}}',
    ]],
    ["less slow", figures({ servers: [server({ week: { ...WEEK, p95: 79 } })] }), []],
    ["failing", figures({ servers: [server({ week: { ...WEEK, failed: 21 } })] }), [
      'failing s 21 of 100 calls in 7 days {"alerts":{"rules":[{"when":"errors","above":20,"servers":["s"]}]}}',
    ]],
    ["less failing", figures({ servers: [server({ week: { ...WEEK, failed: 20 } })] }), []],
    [
      "a gate would save",
      figures({
        tools: [tool(), tool({ calls: 0 })],
        days: 20,
        gating: { gated: false, savedTokens: 5_000 },
      }),
      ['gating gating 5000 tokens {"gating":"on"}'],
    ],
    ["one does", figures({ days: 20, gating: { gated: true, savedTokens: 5_000 } }), []],
    ["few calls", figures({ calls: 49, tools: [tool({ tokens: 501 })] }), []],
    ["few days", figures({ days: 6.9, tools: [tool({ tokens: 501 })] }), []],
  ];

for (const [what, given, said] of ROWS) {
  test(`advice: ${what}`, () => {
    const found = adviceFrom(given);
    const shown = found.map(({ kind, subject, figure, config }) =>
      [kind, subject, figure, config].join(" ")
    );
    assert.deepEqual(shown, said);
    for (const { text, reason } of found) assert.match(text + reason, /^[A-Z"\d].*\.$/);
  });
}

test("of many tools that nobody calls the config names the largest twenty", () => {
  const tools = Array.from(
    { length: 100 },
    (_, at) => tool({ own: `t${at}`, tokens: at, calls: 0 }),
  );
  const [{ text, config } = { text: "", config: "" }] = adviceFrom(figures({ tools }));
  assert.match(text, /^100 tools/);
  const { exclude } = JSON.parse(config).mcpServers.s.tools;
  assert.deepEqual([exclude.length, exclude[0], exclude[19]], [20, "t99", "t80"]);
});
