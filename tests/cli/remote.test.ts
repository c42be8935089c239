/** What is said of a gateway that does not answer. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError } from "../../src/app/io.ts";
import { RemoteCaller } from "../../src/cli/remote.ts";
import { ESTIMATE } from "../../src/lib/tokens.ts";
import { gatewayUrls } from "../../src/cli/urls.ts";
import { type Handler, json, serveHttp } from "../upstream/fakes/http-server.ts";

const QUESTIONS = ["status", "health"] as const;

async function hintOf(url: string, question: typeof QUESTIONS[number]): Promise<string> {
  const failed = await new RemoteCaller(gatewayUrls(url))[question]().catch((error) => error);
  assert.ok(failed instanceof CliError);
  return failed.hint!;
}

/** Each takes the connection, and then no more comes. */
const HANGING: Readonly<Record<string, Handler>> = {
  "says nothing": () => {},
  "begins its head": (_, response) => void response.writeContinue(),
  "begins its body": (_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write('{"status":');
  },
};

for (const [what, handler] of Object.entries(HANGING)) {
  test(`A gateway that ${what} and hangs is not to be started, but looked at`, async () => {
    let late = new AbortController();
    // The limit is over as soon as the gateway has been asked.
    const { timeout } = AbortSignal;
    AbortSignal.timeout = () => (late = new AbortController()).signal;
    const server = await serveHttp((seen, response) => {
      handler(seen, response);
      late.abort();
    });
    try {
      for (const question of QUESTIONS) {
        assert.match(await hintOf(server.url, question), /listens there and hangs.*restart it/);
      }
    } finally {
      AbortSignal.timeout = timeout;
      await server.close();
    }
  });
}

test("A gateway that is not there is to be started", async () => {
  for (const question of QUESTIONS) {
    assert.match(await hintOf("http://127.0.0.1:1", question), /^Start it/);
  }
});

test("What is no list of what servers offer is told as such, whatever it is", async () => {
  const item = { exposed: "a_x", own: "x", title: null, description: "Does x" };
  const none = { prompts: [], resources: [], templates: [] };
  const good = { name: "a", state: "ready", transport: "stdio", error: null, ...none };
  const odd: unknown[] = [
    ...[null, 7, {}, { name: "a" }, good].map((one) => ({ servers: [one] })),
    ...[null, {}, [null], [7], [{}], [{ ...item, own: 7 }], [{ ...item, title: [] }]]
      .map((tools) => ({ servers: [{ ...good, tools }] })),
    ...[undefined, 7, {}].map((error) => ({ servers: [{ ...good, tools: [item], error }] })),
    { servers: [{ ...good, tools: [item], name: null }] },
    { servers: {} },
    [],
  ];
  let body: unknown;
  const server = await serveHttp((_, response) => json(response, 200, body));
  const list = () => new RemoteCaller(gatewayUrls(server.url)).offers(ESTIMATE);
  try {
    for (body of odd) {
      const why = await list().then((offers) => JSON.stringify(offers), (error) => error.message);
      assert.match(why, /HTTP 200 is not what mcproxy answers$/, JSON.stringify(body));
    }
    body = { servers: [{ ...good, tools: [item], later: 1 }] };
    assert.equal((await list())[0]!.tools[0]!.own, "x");
  } finally {
    await server.close();
  }
});
