/** The commands that look at calls, before a gateway that says what a test wants it to. */

import assert from "node:assert/strict";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { main } from "../../src/cli/main.ts";
import { inDirectory } from "../config/temp.ts";
import {
  type FakeHttp,
  json as sendJson,
  type Seen,
  serveHttp,
} from "../upstream/fakes/http-server.ts";
import { run, TestIo } from "./support.ts";

const AT = Date.UTC(2026, 10, 30, 12, 0, 0);
const CALL = {
  id: "r7",
  at: AT,
  method: "tools/call",
  server: "github",
  name: "github_search_code",
  ownName: "search_code",
  client: "Claude Code 2.1",
  session: "c1",
  endpoint: "*",
  outcome: "error",
  code: -32603,
  ms: 1_520.3,
  queueMs: 0.04,
  serverMs: 1_519,
  gatewayMs: 1.2,
  bytesIn: 120,
  bytesOut: 70_000,
  attempts: 2,
  traceId: "0af7",
  who: "key:laptop",
};
const OK = {
  ...CALL,
  id: "r8",
  outcome: "ok",
  code: undefined,
  at: AT + 1_000,
  ms: 3,
  name: "a_x",
};
const REQUEST = { name: "github_search_code", arguments: { q: "x", big: 1 }, _meta: { a: 1 } };

type Sent = Parameters<typeof sendJson>[0];
const tell = (response: Sent, body: unknown, status = 200) => sendJson(response, status, body);

type Answers = Readonly<Record<string, unknown>>;

/** A gateway that answers by `METHOD /path`, with what a function makes of a request. */
async function withGateway(
  answers: Answers,
  use: (gateway: FakeHttp, run: (...args: string[]) => ReturnType<typeof runAt>) => Promise<void>,
): Promise<void> {
  const gateway = await serveHttp((seen, response) => {
    const answer = answers[`${seen.method} ${seen.url.replace(/\?.*/, "")}`];
    if (answer === undefined) {
      const message = `No such path: ${seen.url}`;
      return tell(response, { error: "not_found", message }, 404);
    }
    if (typeof answer === "function") return answer(seen, response);
    tell(response, answer);
  });
  try {
    await use(gateway, (...args) => runAt(gateway.url, args));
  } finally {
    await gateway.close();
  }
}

function runAt(url: string, [command = "", ...args]: readonly string[], stdin?: string) {
  const input = stdin === undefined ? {} : { stdin: (async function* () {})() };
  return run([command, "--url", url, ...args], { env: { STATE_DIRECTORY: "/nowhere" }, ...input });
}

test("calls shows a table, the latest last, and asks for what is filtered", () =>
  withGateway(
    { "GET /api/calls": { items: [OK, CALL], next: null } },
    async (gateway, run) => {
      const shown = await run("calls", "server:github", "ms:>1");
      assert.equal(shown.stderr, "");
      assert.deepEqual(shown.stdout.trimEnd().split("\n"), [
        "TIME                      OUTCOME         TOOK  SERVER  CLIENT           ID  NAME",
        "2026-11-30T12:00:00.000Z  error -32603  1.52 s  github  Claude Code 2.1  r7  " +
        "github_search_code",
        "2026-11-30T12:00:01.000Z  ok              3 ms  github  Claude Code 2.1  r8  a_x",
      ]);
      assert.equal(gateway.seen[0]?.url, "/api/calls?filter=server%3Agithub+ms%3A%3E1&limit=50");
      const lines = (await run("calls", "--json", "--", "-outcome:ok")).stdout.trimEnd().split(
        "\n",
      );
      assert.deepEqual(lines.map((line) => JSON.parse(line).id), ["r7", "r8"]);
      assert.match(gateway.seen.at(-1)!.url, /filter=-outcome%3Aok/);
      // Those of before the time are left out, and end it.
      const since = await run("calls", "--since", new Date(AT + 500).toISOString());
      assert.doesNotMatch(since.stdout, /r7/);
      assert.match(since.stdout, /r8/);
      assert.equal((await run("calls", "--since", "soon")).code, 2);
      assert.match((await run("calls", "--limit", "0")).stderr, /Cannot use --limit "0"/);
    },
  ));

test("calls goes through the pages until there are enough", () => {
  const items = Array.from({ length: 700 }, (_, at) => ({ ...CALL, id: `r${at}`, at: AT - at }));
  const page = ({ url }: Seen, response: Sent) => {
    const query = new URL(url, "http://x").searchParams;
    const from = Number(query.get("before") ?? 0);
    const to = from + Number(query.get("limit"));
    tell(response, { items: items.slice(from, to), next: to < items.length ? String(to) : null });
  };
  return withGateway({ "GET /api/calls": page }, async (_, run) => {
    const count = async (...args: string[]) =>
      (await run("calls", "--json", ...args)).stdout.split("\n").length - 1;
    assert.equal(await count(), 50);
    assert.equal(await count("--limit", "600"), 600);
    assert.equal(await count("--since", "400d"), 700);
  });
});

test("calls ID shows one, with what it said where that is kept; else it is a word", () => {
  const body = {
    request: JSON.stringify(REQUEST),
    result: '{"text":"cut',
    cut: true,
    redacted: false,
  };
  const answers = {
    "GET /api/calls/r7": { ...CALL, inner: [OK], body },
    "GET /api/calls": { items: [], next: null },
  };
  return withGateway(answers, async (gateway, run) => {
    const { stdout, code } = await run("calls", "r7");
    assert.equal(code, 0);
    assert.deepEqual(stdout.split("\n"), [
      "tools/call github_search_code",
      "  Outcome  error -32603",
      "  Time     2026-11-30T12:00:00.000Z",
      "  Took     1.52 s: waiting 0 ms, server 1.52 s, gateway 1 ms, 2 attempts",
      "  Server   github as search_code",
      "  Client   Claude Code 2.1, c1, *, key:laptop",
      "  Size     120 B sent, 70 kB answered",
      "  Trace    0af7",
      "",
      "It made",
      "TIME                      OUTCOME  TOOK  SERVER  CLIENT           ID  NAME",
      "2026-11-30T12:00:01.000Z  ok       3 ms  github  Claude Code 2.1  r8  a_x",
      "",
      "Request  (cut)",
      "  {",
      '    "name": "github_search_code",',
      '    "arguments": {',
      '      "q": "x",',
      '      "big": 1',
      "    }",
      "  }",
      "",
      "Result  (cut)",
      '  {"text":"cut',
      "",
    ]);
    assert.equal(JSON.parse((await run("calls", "r7", "--json")).stdout).body.cut, true);
    const word = await run("calls", "github");
    assert.deepEqual([word.code, word.stdout, word.stderr], [0, "", "No such calls\n"]);
    assert.match(gateway.seen.at(-1)!.url, /filter=github/);
  });
});

test("nothing of a call moves the cursor, and what a gateway leaves out stays blank", () =>
  withGateway(
    { "GET /api/calls": { items: [{ name: "a\u001b[31m\u202eb\nc", at: "x" }, 7], next: 1 } },
    async (_, run) => {
      const { stdout } = await run("calls");
      assert.equal(stdout.split("\n")[1]?.trim(), "a[31mb c");
    },
  ));

test("usage, problems, alerts and record are one question each", () => {
  const answers = {
    "GET /api/usage": {
      items: [{
        key: "github_search_code",
        calls: 12,
        failed: 2,
        toolErrors: 1,
        p50: 20,
        p95: 1_500,
        bytesOut: 70_000,
        tokens: 512,
      }],
      next: null,
    },
    "GET /api/problems": {
      items: [{
        fingerprint: "f1",
        state: "open",
        count: 3,
        first: AT,
        last: AT + 1,
        server: "github",
        name: "search_code",
        text: "no such repository",
      }],
      next: null,
    },
    "POST /api/problems/f1": { fingerprint: "f1", state: "ignored" },
    "GET /api/alerts": {
      rules: [],
      firing: [{ rule: "down", subject: "github", since: AT, text: "github is down" }],
      history: [],
      channels: [{ kind: "ntfy", target: "ntfy.example" }],
    },
    "POST /api/record": { until: AT },
  };
  return withGateway(answers, async (gateway, run) => {
    const text = async (...args: string[]) => (await run(...args)).stdout.trimEnd().split("\n");
    assert.deepEqual(await text("usage", "--range", "7d"), [
      "CALLS  FAILED  TOOL ERRORS    P50    P95  ANSWERED  TOKENS  TOOL",
      "   12       2            1  20 ms  1.5 s     70 kB     512  github_search_code",
    ]);
    assert.equal(gateway.seen.at(-1)?.url, "/api/usage?by=tool&range=7d");
    assert.equal(JSON.parse((await text("usage", "--by", "server", "--json"))[0]!).next, null);
    assert.deepEqual(await text("problems"), [
      "ID  STATE  COUNT  FIRST                     LAST                      SERVER  NAME         " +
      "WHAT IT SAYS",
      "f1  open       3  2026-11-30T12:00:00.000Z  2026-11-30T12:00:00.001Z  github  search_code  " +
      "no such repository",
    ]);
    assert.deepEqual(await text("problems", "ignore", "f1"), ["Problem f1 is ignored"]);
    assert.deepEqual(gateway.seen.at(-1)?.body, { state: "ignored" });
    for (const args of [["done"], ["close", "f1"], ["constructor", "f1"]]) {
      const { code, stderr } = await run("problems", ...args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /expected done ID, ignore ID or open ID/);
    }
    assert.deepEqual(await text("alerts"), [
      "1 firing",
      "",
      "SINCE                     UNTIL  RULE  SUBJECT  WHAT IT SAYS",
      "2026-11-30T12:00:00.000Z         down  github   github is down",
      "",
      "CHANNEL  TARGET",
      "ntfy     ntfy.example",
    ]);
    assert.deepEqual(await text("record", "--for", "5m", "--server", "github", "--errors"), [
      'What calls that fail of "github" say is kept until 2026-11-30T12:00:00.000Z; ' +
      '"mcproxy calls ID" shows it',
    ]);
    const asked = { for: "5m", server: "github", bodies: "errors" };
    assert.deepEqual(gateway.seen.at(-1)?.body, asked);
    await text("record");
    assert.deepEqual(gateway.seen.at(-1)?.body, { for: "10m", bodies: "all" });
    assert.equal((await run("record", "--for", "long")).code, 2);
  });
});

test("what the gateway refuses is told as it says it", () =>
  withGateway(
    {
      "GET /api/calls": (_: Seen, response: Sent) =>
        tell(
          response,
          { error: "invalid_filter", message: 'Unknown key "sever" in the filter' },
          400,
        ),
    },
    async (gateway, run) => {
      const { code, stderr } = await run("calls", "sever:x");
      assert.equal(code, 1);
      assert.equal(
        stderr,
        `The gateway at "${gateway.url}" refused it: Unknown key "sever" in the filter\n`,
      );
    },
  ));

test("tail writes each call as it comes, waits for a gateway that goes, and ends by a signal", async () => {
  let streams = 0;
  const events = ({ url }: Seen, response: Sent) => {
    streams++;
    assert.equal(url, "/api/events?topics=calls&filter=server%3Agithub");
    response.writeHead(200, { "content-type": "text/event-stream" });
    const batch = { items: streams === 1 ? [CALL, OK] : [OK], left: streams === 1 ? 3 : 0 };
    response.write(`: hello\n\nevent: calls\ndata: ${JSON.stringify(batch)}\n\n`);
    if (streams === 1) response.end();
  };
  await withGateway({ "GET /api/events": events }, async (gateway) => {
    const io = new TestIo({ env: { STATE_DIRECTORY: "/nowhere" } });
    const ended = main(["tail", "--url", gateway.url, "server:github"], io);
    await io.out.waitFor(() => streams === 2);
    io.signal("SIGINT");
    assert.equal(await ended, 130);
    const first = "2026-11-30T12:00:00.000Z  error -32603       1.52 s  github        " +
      "Claude Code 2.1  r7  github_search_code\n";
    const second = "2026-11-30T12:00:01.000Z  ok                   3 ms  github        " +
      "Claude Code 2.1  r8  a_x\n";
    assert.equal(io.stdoutText, first + second + second);
    assert.equal(io.stderrText, "… and 3 more\nThe gateway has gone; waiting\n");
  });
});

test("tail ends where nobody reads any more, and is told why it may not follow", () =>
  withGateway(
    {
      "GET /api/events": ({ url }: Seen, response: Sent) => {
        if (url.includes("sever")) return tell(response, { message: "Unknown key" }, 400);
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(`data: ${JSON.stringify({ items: [OK], left: 0 })}\n\n`);
      },
    },
    async (gateway, run) => {
      const io = new TestIo({ env: { STATE_DIRECTORY: "/nowhere" } });
      Object.assign(io.stdout, { write: () => Promise.reject(new Error("EPIPE")) });
      assert.equal(await main(["tail", "--url", gateway.url], io), 0);
      const refused = await run("tail", "sever:x");
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /refused it: Unknown key/);
      const away = await runAt("http://127.0.0.1:1", ["tail"]);
      assert.equal(away.code, 1);
      assert.match(away.stderr, /Start it with "mcproxy serve"/);
    },
  ));

test("ui prints an address with a key, and one without where nobody gives it", async () => {
  const answers = { "POST /api/ui-key": { key: "mcproxy_k", expiresAt: AT } };
  await withGateway(answers, async (gateway, run) => {
    const { stdout } = await run("ui", "--no-browser");
    assert.equal(stdout, `${gateway.url}/#key=mcproxy_k\n`);
    const told = JSON.parse((await run("ui", "--no-browser", "--json")).stdout);
    assert.deepEqual(told, { address: `${gateway.url}/#key=mcproxy_k`, expiresAt: AT });
  });
  const refuse = (_: Seen, response: Sent) => tell(response, { error: { message: "no" } }, 401);
  const status = { "GET /api/status": { version: "1", servers: [] } };
  await withGateway({ "POST /api/ui-key": refuse, ...status }, async (gateway, run) => {
    const { stdout, stderr } = await run("ui", "--no-browser");
    assert.equal(stdout, `${gateway.url}/\n`);
    assert.match(stderr, /Without the gateway's own key the page can change nothing/);
  });
  await withGateway({ "POST /api/ui-key": refuse, "GET /api/status": refuse }, async (_, run) => {
    const { code, stderr } = await run("ui", "--no-browser");
    assert.equal(code, 1);
    assert.match(stderr, /it wants a key/);
  });
});

/** A gateway with a call to be replayed, and the requests it gets by MCP. */
function replayed(
  call: object,
  annotations: object | undefined,
  use: (
    sent: () => Seen | undefined,
    run: (...args: string[]) => ReturnType<typeof runAt>,
  ) => Promise<void>,
) {
  const answer = ({ body }: Seen, response: Sent) =>
    tell(response, {
      jsonrpc: "2.0",
      id: body.id,
      result: { resultType: "complete", content: [{ type: "text", text: "again" }] },
    });
  const answers = {
    "GET /api/calls/r7": call,
    ...annotations && { "GET /api/tools/github_search_code": { annotations } },
    "POST /mcp": answer,
    "POST /servers/github/mcp": answer,
  };
  return withGateway(
    answers,
    (gateway, run) => use(() => gateway.seen.findLast(({ url }) => url.endsWith("/mcp")), run),
  );
}

const kept = (request: string) => ({
  ...CALL,
  body: { request, result: "", cut: false, redacted: false },
});
const READS = { readOnlyHint: true };

test("replay sends what was kept, where it was sent to", () =>
  replayed(
    kept('{"name":"x","arguments":{"n":12345678901234567890}}'),
    READS,
    async (sent, run) => {
      const { stdout, code, stderr } = await run("replay", "r7");
      assert.equal(stderr, "");
      assert.deepEqual([code, stdout], [0, "again\n"]);
      const { method, params } = sent()!.body;
      assert.deepEqual([sent()!.url, method, params.name], [
        "/mcp",
        "tools/call",
        "github_search_code",
      ]);
      assert.equal(params._meta["io.modelcontextprotocol/clientInfo"].name, "mcproxy-cli");
      assert.ok(params.arguments.n > 2 ** 53);
      assert.match((await run("replay", "r9")).stderr, /Cannot find the call "r9"/);
    },
  ));

test("replay goes to the endpoint of the call", () =>
  replayed({ ...kept("{}"), endpoint: "servers/github" }, READS, async (sent, run) => {
    assert.equal((await run("replay", "r7")).code, 0);
    assert.equal(sent()?.url, "/servers/github/mcp");
  }));

test("what may change something is not sent again unasked", async () => {
  for (const annotations of [undefined, {}, { readOnlyHint: "yes" }]) {
    await replayed(kept('{"arguments":{"q":1}}'), annotations, async (sent, run) => {
      const refused = await run("replay", "r7");
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /^github_search_code \{"q":1\}\nCannot replay "r7": nobody has/);
      assert.match(refused.stderr, /Add --yes/);
      assert.equal(sent(), undefined);
      assert.equal((await run("replay", "r7", "--yes")).code, 0);
      assert.deepEqual(sent()?.body.params.arguments, { q: 1 });
    });
  }
});

test("what was masked, cut or not kept is not sent, unless it is filled in", async () => {
  const rows: readonly (readonly [object, RegExp])[] = [
    [CALL, /its arguments were not kept/],
    [kept('{"arguments":{"q":"[redacted]"}}'), /a secret was masked/],
    [kept('{"name":"x","arguments":{"q":"abc…'), /its arguments were cut/],
    [{ ...kept("{}"), method: "tools/list", name: undefined }, /tools\/list is not sent again/],
  ];
  for (const [call, why] of rows) {
    await replayed(call, READS, async (sent, run) => {
      const { code, stderr } = await run("replay", "r7", "--yes");
      assert.equal(code, 1);
      assert.match(stderr, why);
      assert.equal(sent(), undefined);
    });
  }
});

test("--edit hands the arguments to an editor", () =>
  inDirectory(async (directory) => {
    const editor = async (name: string, script: string) => {
      const file = join(directory, name);
      await writeFile(file, `#!/bin/sh\n${script}\n`);
      await chmod(file, 0o700);
      return file;
    };
    const fill = await editor("fill", 'sed -i "s/\\[redacted\\]/secret/; s/abc….*/abc\\"}/" "$1"');
    const edit = (url: string, EDITOR: string) =>
      run(["replay", "r7", "--edit", "--url", url], { env: { EDITOR, PATH: process.env["PATH"] } });
    for (const text of ['{"arguments":{"q":"[redacted]"}}', '{"arguments":{"q":"abc…']) {
      await withGateway(
        {
          "GET /api/calls/r7": kept(text),
          "GET /api/tools/github_search_code": { annotations: READS },
          "POST /mcp": ({ body }: Seen, response: Sent) =>
            tell(response, { jsonrpc: "2.0", id: body.id, result: { resultType: "complete" } }),
        },
        async (gateway) => {
          const done = await edit(gateway.url, fill);
          assert.equal(done.code, 0, done.stderr);
          const { q } = gateway.seen.at(-1)!.body.params.arguments;
          assert.equal(q, text.includes("abc") ? "abc" : "secret");
          const left = await edit(gateway.url, "true");
          assert.equal(left.code, 1);
          assert.match(left.stderr, /masked|cut/);
          const failed = await edit(gateway.url, await editor("fail", "exit 3"));
          assert.match(failed.stderr, /Cannot edit the arguments with ".*fail": it ended with 3/);
          const odd = await edit(gateway.url, await editor("odd", 'echo "[1]" > "$1"'));
          assert.match(odd.stderr, /Cannot read the arguments: found \[1\]; expected an object/);
        },
      );
    }
  }));
