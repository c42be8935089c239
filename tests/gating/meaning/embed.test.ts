import assert from "node:assert/strict";
import { test } from "node:test";
import { embed, EmbedError, type EmbedOptions } from "../../../src/gating/meaning/embed.ts";
import { systemClock } from "../../../src/lib/time.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";
import {
  answerWith,
  type Endpoint,
  type Misbehaviour,
  vectorsOf,
  withEndpoint,
} from "./support.ts";

const SECRET = "sk-0123456789";

function optionsFor(url: string, more: Partial<EmbedOptions> = {}): EmbedOptions {
  return {
    config: { url, model: "m", apiKey: SECRET },
    fetch,
    clock: systemClock,
    limit: 20_000,
    signal: new AbortController().signal,
    ...more,
  };
}

/** Why there are no vectors. */
async function failure(texts: readonly string[], options: EmbedOptions): Promise<EmbedError> {
  const error = await embed(texts, options).then(() => undefined, (error: unknown) => error);
  assert.ok(error instanceof EmbedError, String(error));
  const told = [error.message, error.stack ?? "", String(error.cause)].join("\n");
  assert.ok(!told.includes(SECRET) && !told.includes("u5er"), told);
  return error;
}

test("embed() asks in the form of OpenAI's API and returns vectors in the order of the texts", async () => {
  await withEndpoint(async (endpoint) => {
    const vectors = await embed(["rain", "a photo"], optionsFor(endpoint.url));
    assert.deepEqual(vectors.map((vector) => vector.indexOf(Math.max(...vector))), [3, 1]);
    const [{ path, headers, model, input }] = endpoint.asked as [Endpoint["asked"][number]];
    assert.deepEqual([path, model, input], ["/v1/embeddings", "m", ["rain", "a photo"]]);
    assert.equal(headers.authorization, `Bearer ${SECRET}`);
    assert.equal(headers["content-type"], "application/json");
  });
});

test("embed() finds the path, keeps the query, and sends credentials of the URL as a header", async () => {
  await withEndpoint(async (endpoint) => {
    const base = endpoint.url;
    const urls = [`${base}/`, `${base}/embeddings`, `${base}/embeddings/?api-version=1`, base];
    for (const url of urls) await embed(["x"], optionsFor(url, { config: { url, model: "m" } }));
    const url = base.replace("http://", "http://u5er:p%40ss@");
    await embed(["x"], optionsFor(url, { config: { url, model: "m" } }));
    assert.deepEqual(endpoint.asked.map(({ path }) => path), [
      "/v1/embeddings",
      "/v1/embeddings",
      "/v1/embeddings?api-version=1",
      "/v1/embeddings",
      "/v1/embeddings",
    ]);
    const authorizations = endpoint.asked.map(({ headers }) => headers.authorization);
    assert.deepEqual(authorizations.slice(0, 4), Array(4).fill(undefined));
    assert.equal(authorizations[4], `Basic ${btoa("u5er:p@ss")}`);
  });
});

test("embed() says what is wrong in a few words of its own", async () => {
  const vectors = vectorsOf(["one", "two"]);
  const cases: readonly (readonly [Misbehaviour, string | RegExp])[] = [
    [
      (response) => answerWith(response, `{"error":"key ${SECRET} is wrong"}`, 401),
      "answered with HTTP status 401",
    ],
    [(response) => answerWith(response, SECRET), "answered with something that is no JSON"],
    [(response) => answerWith(response, vectors), "answered with 2 vectors, expected 1"],
    [(response) => response.destroy(), /^could not be reached: /],
    [
      (response) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write("{");
        response.flushHeaders();
        setImmediate(() => response.destroy());
      },
      /^(could not be reached: |answered with something that is no JSON)/,
    ],
    [
      (response) => answerWith(response, " ".repeat(600 * 1024)),
      "answered with more than 524288 bytes",
    ],
  ];
  await withEndpoint(async (endpoint) => {
    for (const [misbehave, expected] of cases) {
      endpoint.misbehave = misbehave;
      const { message } = await failure(["x"], optionsFor(endpoint.url));
      if (typeof expected === "string") assert.equal(message, expected);
      else assert.match(message, expected);
    }
  });
});

test("embed() follows no redirect: its key is for this endpoint", async () => {
  await withEndpoint(async (endpoint) => {
    await withEndpoint(async (other) => {
      endpoint.misbehave = (response) => {
        response.writeHead(307, { location: `${other.url}/embeddings` });
        response.end();
      };
      const { message, status } = await failure(["x"], optionsFor(endpoint.url));
      assert.deepEqual([message, status], ["answered with HTTP status 307", 307]);
      assert.equal(other.asked.length, 0);
    });
  });
});

test("embed() of an endpoint that is not there says so without its URL", async () => {
  let url = "";
  await withEndpoint((endpoint) => {
    url = endpoint.url.replace("http://", "http://u5er:x@") + `?key=${SECRET}`;
    return Promise.resolve();
  });
  const { message } = await failure(["x"], optionsFor(url));
  assert.equal(message, "could not be reached: connection refused");
});

test("embed() gives up at its limit, before or within the answer", async () => {
  await withEndpoint(async (endpoint) => {
    const halves: Misbehaviour[] = [
      () => {},
      (response) => {
        response.writeHead(200);
        response.write("{");
      },
    ];
    for (const [index, misbehave] of halves.entries()) {
      endpoint.misbehave = misbehave;
      const clock = new FakeClock();
      const failing = failure(["x"], optionsFor(endpoint.url, { clock, limit: 300 }));
      await endpoint.whenAsked(index + 1);
      clock.tick(300);
      assert.equal((await failing).message, "gave no answer within 300 ms");
    }
  });
});

test("embed() stops with its signal, and leaves no timer", async () => {
  await withEndpoint(async (endpoint) => {
    endpoint.misbehave = () => {};
    const clock = new FakeClock();
    const stop = new AbortController();
    const asking = embed(["x"], optionsFor(endpoint.url, { clock, signal: stop.signal }));
    await endpoint.whenAsked(1);
    const reason = new Error("stop");
    stop.abort(reason);
    await assert.rejects(asking, reason);
    assert.equal(clock.armed, 0);
    await assert.rejects(embed(["x"], optionsFor(endpoint.url, { signal: stop.signal })), reason);
    assert.equal(endpoint.asked.length, 1);
  });
});
