import { test } from "node:test";
import fc from "fast-check";
import { AFTERWORDS } from "../../src/upstream/connection/questions.ts";
import { ChannelModel, ID_TEXTS, type Step, TIMEOUT, TOKEN_TEXTS } from "./channel-model.ts";
import { rounds } from "../support/rounds.ts";

/** The runs are the same every time; a failure prints its seed and its shortest steps. */
const RUNS = { seed: 20261120, numRuns: rounds(1_000) };

const of = fc.nat(20);

/** Messages that look as if they were somebody's and are nobody's. */
const stray = fc.constantFrom(
  '{"jsonrpc":"2.0","id":"01","result":{"for":"somebody"}}',
  '{"jsonrpc":"2.0","id":0,"result":{}}',
  '{"jsonrpc":"2.0","id":-1,"result":{}}',
  '{"jsonrpc":"2.0","id":1.5,"result":{}}',
  '{"jsonrpc":"2.0","id":9007199254740993,"result":{}}',
  '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}',
  '{"jsonrpc":"2.0","id":"__proto__","result":{}}',
  '{"jsonrpc":"2.0","method":"notifications/progress"}',
  '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"1.0","progress":1}}',
  '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":null,"progress":1}}',
  '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":[1],"progress":1}}',
  '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1e99,"progress":1}}',
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Step>({ do: "begin" }) },
  { weight: 3, arbitrary: of.map((of): Step => ({ do: "answer", of })) },
  { weight: 1, arbitrary: of.map((of): Step => ({ do: "fail", of })) },
  { weight: 6, arbitrary: of.map((of): Step => ({ do: "progress", of })) },
  { weight: 2, arbitrary: of.map((of): Step => ({ do: "cancel", of })) },
  { weight: 1, arbitrary: of.map((of): Step => ({ do: "malform", of })) },
  {
    weight: 3,
    arbitrary: fc.tuple(of, fc.boolean()).map(([of, carried]): Step => ({
      do: "say",
      of,
      carried,
    })),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(of, fc.boolean()).map(([of, carried]): Step => ({
      do: "ask",
      of,
      carried,
    })),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(of, fc.nat(AFTERWORDS + 100), fc.boolean())
      .map(([of, ms, asks]): Step => ({ do: asks ? "addAsk" : "addSay", of, ms })),
  },
  { weight: 2, arbitrary: of.map((of): Step => ({ do: "reply", of })) },
  { weight: 1, arbitrary: of.map((of): Step => ({ do: "withdraw", of })) },
  { weight: 2, arbitrary: stray.map((text): Step => ({ do: "stray", text })) },
  { weight: 1, arbitrary: fc.nat(TIMEOUT + 100).map((ms): Step => ({ do: "tick", ms })) },
);

const idText = fc.constantFrom(...ID_TEXTS);
const tokenText = fc.constantFrom(...TOKEN_TEXTS);
const steps = fc.array(step, { maxLength: 80, size: "max" });

for (
  const [kind, era] of [
    ["stdio", "legacy"],
    ["stdio", "modern"],
    ["sse", "legacy"],
    ["http", "legacy"],
    ["http", "modern"],
  ] as const
) {
  test(`Channel gives each of many equal calls its own and nothing else, ${kind} ${era}`, async () => {
    await fc.assert(
      fc.asyncProperty(idText, tokenText, steps, async (idText, tokenText, steps) => {
        const model = await ChannelModel.start({ kind, era, idText, tokenText });
        for (const each of steps) await model.take(each);
        await model.check();
      }),
      RUNS,
    );
  });
}
