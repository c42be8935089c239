import assert from "node:assert/strict";
import { eventually } from "../support/inbox.ts";
import { wordsOf } from "./lab.ts";
import type { Json, ServerRow } from "./rows.ts";
import { LIKE_ANY, usual } from "./servers.ts";

const notify = (method: string, params: Json = {}) =>
  `${JSON.stringify({ jsonrpc: "2.0", method, params })}\n`;

const textContent = (text: string) => ({ content: [{ type: "text", text }] });

/** How programs write that are meant to speak lines of JSON. */
const WRITING: readonly ServerRow[] = [
  {
    name: "crlf",
    from: "println of .NET and Java on Windows, and behind docker exec -t",
    does: "ends its lines with CR LF",
    sees: LIKE_ANY,
    stdio: () => ({ write: (answer) => `${answer}\r\n` }),
  },
  {
    name: "bom",
    from: "Console.OutputEncoding = UTF8 in .NET and PowerShell writes one",
    does: "writes a byte order mark before its first message",
    sees: "the first message is read all the same",
    stdio: () => {
      let isFirst = true;
      return {
        write: (answer) => {
          const mark = isFirst ? "\ufeff" : "";
          isFirst = false;
          return `${mark}${answer}\n`;
        },
      };
    },
  },
  {
    name: "banner",
    from: "console.log('Server running on stdio') of many a first server",
    does: "greets people on stdout before its first message",
    sees: LIKE_ANY,
    stdio: () => ({
      start: (process) => process.stdout("\n  My Server v1.2 \u{1f680}\nrunning on stdio\n\n"),
    }),
  },
  {
    name: "chatty",
    from: "print() for debugging, loggers with a JSON formatter on stdout",
    does: "writes log lines, JSON or not, between its messages",
    sees: LIKE_ANY,
    stdio: () => ({
      write: (answer) => `DEBUG handling\n{"level":"info","msg":"x"}\n[1]\n${answer}\n"done"\n\n`,
    }),
  },
  {
    name: "byte-by-byte",
    from: "unbuffered writers, and pipes that fill up, cut anywhere",
    does: "has its text cut anywhere, in the middle of a character too",
    sees: "characters come as they were",
    stdio: () => ({
      results: { "tools/call": textContent("größe 𝒳") },
      write: (answer, { method }) => {
        const bytes = new TextEncoder().encode(`${answer}\n`);
        if (method !== "tools/call") return [bytes];
        return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
      },
    }),
    expect: { call: /^größe 𝒳$/ },
  },
  {
    name: "all-in-one",
    from: "buffered stdout: several messages arrive in one read",
    does: "writes several messages in one piece",
    sees: LIKE_ANY,
    stdio: () => ({
      write: (answer) =>
        notify("notifications/message", { level: "debug", data: 1 }) + answer + "\n",
    }),
  },
  {
    name: "spaced",
    from: "json.dumps with separators, indented templates, hand-written servers",
    does: "has white space around and in its messages",
    sees: LIKE_ANY,
    stdio: () => ({ write: (answer) => ` \t${answer.replaceAll('":', '" :\t ')}  \n` }),
  },
  {
    name: "long-line",
    from: "tools that return images or whole files",
    does: "answers with a line of 2 MB",
    sees: "the whole of it",
    stdio: () => ({
      results: { "tools/call": textContent("x".repeat(2_000_000)) },
    }),
    expect: { call: /^x{2000000}$/ },
  },
  {
    name: "bad-utf8",
    from: "programs with a locale that is not UTF-8",
    does: "writes bytes that are no UTF-8 beside its messages",
    sees: LIKE_ANY,
    stdio: () => ({ write: (answer) => [new Uint8Array([0xff, 0xfe, 0xc3, 10]), `${answer}\n`] }),
  },
  {
    name: "line-separators",
    from: "JSON may hold U+2028 and lone surrogates, JavaScript lines did not",
    does: "has U+2028, U+0085 and a lone surrogate in its texts",
    sees: "they come as they were",
    stdio: () => ({
      results: { "tools/call": textContent("a\u2028b\u0085c\ud800") },
    }),
    expect: { call: /^a\u2028b\u0085c\ud800$/ },
  },
  {
    name: "big-numbers",
    from: "ids of databases beyond 2^53 in structured results",
    does: "answers with numbers that JavaScript cannot hold",
    sees: "every digit of them",
    stdio: () => ({
      write: (answer) => `${answer.replace('"ok"', '"ok","n":12345678901234567890.10')}\n`,
    }),
    expect: {
      inView: async (view) => {
        const { text } = await view.call("big-numbers", "echo");
        assert.match(text, /"n":12345678901234567890\.10\b/);
      },
    },
  },
  {
    name: "loud",
    from: "servers with debug logging to stderr by default",
    does: "writes thousands of lines to stderr",
    sees: LIKE_ANY,
    stdio: () => ({ start: (process) => process.stderr("trace: nothing of use\n".repeat(5_000)) }),
  },
];

/** What is odd in the messages themselves. */
const MESSAGES: readonly ServerRow[] = [
  {
    name: "id-as-text",
    from: "servers that keep ids as strings (several in Go and PHP)",
    does: 'answers with "id": "7" for 7',
    sees: LIKE_ANY,
    stdio: () => ({ write: (answer) => `${answer.replace(/"id":(\d+)/, '"id":"$1"')}\n` }),
  },
  {
    name: "null-error",
    from: "JSON-RPC 1.0 libraries and structs without omitempty",
    does: 'has "error": null beside its results',
    sees: LIKE_ANY,
    stdio: () => ({
      write: (answer) => `${answer.replace('"result"', '"error":null,"result"')}\n`,
    }),
  },
  {
    name: "more-members",
    from: "frameworks that add timing or trace members to the envelope",
    does: "has members in its envelope that nobody knows",
    sees: LIKE_ANY,
    stdio: () => ({ write: (answer) => `${answer.replace("{", '{"took":3,"_trace":null,')}\n` }),
  },
  {
    name: "twice",
    from: "servers that retry a write, and handlers that call their callback twice",
    does: "answers everything twice",
    sees: "the first answer counts",
    stdio: () => ({ write: (answer) => `${answer}\n${answer.replace('"ok"', '"again"')}\n` }),
  },
  {
    name: "nobodys",
    from: "servers that answer notifications, and answers with id null",
    does: "sends answers and progress that nobody waits for",
    sees: LIKE_ANY,
    stdio: () => ({
      write: (answer) =>
        '{"jsonrpc":"2.0","id":null,"result":{}}\n{"jsonrpc":"2.0","id":987654,"result":{}}\n' +
        notify("notifications/progress", { progressToken: 424242, progress: 1 }) +
        notify("notifications/cancelled", { requestId: 5 }) + `${answer}\n`,
    }),
  },
  {
    name: "batches",
    from: "servers of 2025-03-26, the only version with batches",
    does: "answers with an array of messages",
    sees: LIKE_ANY,
    stdio: () => ({
      write: (answer) =>
        `[${
          notify("notifications/message", { level: "info", data: 1 })
            .trim()
        },${answer}]\n`,
    }),
  },
  {
    name: "text-error",
    from: "handlers that put an exception where the error object belongs",
    does: "answers a call with an error that is a text",
    sees: "the call fails at once, and says that the answer was none",
    stdio: () => ({
      write: (answer, { id, method }) =>
        method === "tools/call" ? `{"jsonrpc":"2.0","id":${id},"error":"boom"}\n` : `${answer}\n`,
    }),
    expect: { call: /gave no valid answer to "tools\/call"/ },
  },
  {
    name: "not-a-number",
    from: "json.dumps of Python writes NaN and Infinity by default",
    does: "answers a call with NaN, which is no JSON",
    sees: "the call fails at once",
    stdio: () => ({
      write: (answer) => `${answer.replace('"content"', '"score":NaN,"content"')}\n`,
    }),
    expect: { call: /gave no valid answer to "tools\/call"/ },
  },
  {
    name: "cut-off",
    from: "writers with a fixed buffer, and logs that shorten long lines",
    does: "answers a call with a line that is cut off",
    sees: "the call fails at once",
    stdio: () => ({
      write: (answer, { method }) =>
        method === "tools/call" ? `${answer.slice(0, -12)}\n` : `${answer}\n`,
    }),
    expect: { call: /gave no valid answer to "tools\/call"/ },
  },
];

/** What is odd in how it greets, and in what it asks by itself. */
const GREETING: readonly ServerRow[] = [
  {
    name: "dies-of-the-probe",
    from: "servers of the first SDKs exit at a request before initialize",
    does: "ends when it is asked something before initialize",
    sees: "it is started again and greeted the old way",
    stdio: () => ({
      take: ({ method }, process) => {
        if (method !== "server/discover") return false;
        process.exit(1);
        return true;
      },
    }),
  },
  {
    name: "old",
    from: "servers of November 2024 that nobody has touched since",
    does: "knows 2024-11-05 only",
    sees: LIKE_ANY,
    stdio: () => ({
      results: { initialize: usual("initialize", { protocolVersion: "2024-11-05" }) },
    }),
    expect: {
      also: (lab) => assert.equal(lab.statusOf("old").protocolVersion, "2024-11-05"),
    },
  },
  {
    name: "of-the-future",
    from: "servers that answer a version of a draft, or the date of their build",
    does: "chooses a version that does not exist",
    sees: "it is refused, and the version is named",
    stdio: () => ({
      results: { initialize: usual("initialize", { protocolVersion: "2099-01-01" }) },
    }),
    expect: { error: /chose protocol version "2099-01-01"; expected one of/ },
  },
  {
    name: "nameless",
    from: "minimal servers: serverInfo is required, and often missing or null",
    does: "does not say who it is",
    sees: LIKE_ANY,
    stdio: () => ({
      results: { initialize: { protocolVersion: "2025-11-25", capabilities: { tools: {} } } },
    }),
  },
  {
    name: "talks-first",
    from: "servers that log and announce their lists while they start",
    does: "sends notifications before it has answered initialize",
    sees: LIKE_ANY,
    stdio: () => ({
      write: (answer, { method }) =>
        method !== "initialize"
          ? `${answer}\n`
          : notify("notifications/message", { level: "info", data: "starting" }) +
            notify("notifications/tools/list_changed") + `${answer}\n`,
    }),
  },
  {
    name: "asks-first",
    from: "servers that ping, or ask for roots, as soon as they run",
    does: "waits for an answer to its own ping before it answers initialize",
    sees: "the ping is answered",
    stdio: () => {
      let waiting: string | undefined;
      return {
        take: (message, process, plain) => {
          if (message.method === "initialize") {
            waiting = plain(message);
            process.stdout('{"jsonrpc":"2.0","id":"p","method":"ping"}\n');
            return true;
          }
          if (message.id !== "p") return false;
          assert.deepEqual(message.result, {});
          process.stdout(`${waiting}\n`);
          return true;
        },
      };
    },
  },
  {
    name: "wants-roots",
    from: "the reference filesystem server asks for roots after initialized",
    does: "asks for roots while nobody calls, and for a method that does not exist",
    sees: "both are answered at once, and it goes on",
    stdio: () => {
      const told = new Set<string>();
      return {
        results: { "tools/call": () => textContent([...told].sort().join()) },
        take: ({ id, method, error, result }, process) => {
          if (method === "notifications/initialized") {
            process.stdout('{"jsonrpc":"2.0","id":"r","method":"roots/list"}\n');
            process.stdout('{"jsonrpc":"2.0","id":"u","method":"x/unknown"}\n');
          }
          if (method === undefined) told.add(`${id} ${error?.code ?? JSON.stringify(result)}`);
          return false;
        },
      };
    },
    expect: { call: /^r \{"roots":\[\]\},u -32601$/ },
  },
  {
    name: "crashes",
    from: "native servers that crash on some input",
    does: "ends in the middle of a call, with the words of the crash",
    sees: "that call fails with the reason, and the server is there again",
    stdio: () => ({
      take: ({ params }, process) => {
        if (params?.arguments?.crash !== true) return false;
        process.stderr("Segmentation fault\n");
        process.exit(139);
        return true;
      },
    }),
    expect: {
      also: async ({ views: [view] }) => {
        const crashed = wordsOf(await view!.call("crashes", "echo", { crash: true }));
        assert.match(crashed, /"crashes" exited with code 139.*Segmentation fault/s);
        assert.equal(wordsOf(await view!.call("crashes", "echo")), "ok");
      },
    },
  },
];

const LISTS: readonly ServerRow[] = [
  {
    name: "null-cursor",
    from: "structs without omitempty: nextCursor is null on the last page",
    does: "ends its lists with a cursor that is null",
    sees: LIKE_ANY,
    stdio: () => ({ results: { "tools/list": usual("tools/list", { nextCursor: null }) } }),
  },
  {
    name: "looping-cursor",
    from: "servers that ignore the cursor they are given",
    does: "gives the same page and cursor for ever",
    sees: "the list is cut, with a problem",
    stdio: () => ({ results: { "tools/list": usual("tools/list", { nextCursor: "again" }) } }),
    expect: { tools: ["echo"], problem: /^List of tools cut at 2 items: a cursor came twice$/ },
  },
  {
    name: "twins",
    from: "plugins that register the same tool twice",
    does: "lists the same tool twice",
    sees: "the first counts",
    stdio: () => ({
      results: {
        "tools/list": {
          tools: ["one", "two"].map((title) => ({
            name: "echo",
            title,
            inputSchema: { type: "object" },
          })),
        },
      },
    }),
  },
  {
    name: "no-names",
    from: "half-filled structs in a list: null, {} and names that are numbers",
    does: "lists things that are no tools among its tools",
    sees: "they are left out, with a problem",
    stdio: () => ({
      results: {
        "tools/list": {
          tools: [{}, { name: 7 }, null, { name: "echo", inputSchema: { type: "object" } }],
        },
      },
    }),
    expect: { problem: /^Skipped 3 of the tools: no "name" that is a string$/ },
  },
  {
    name: "declares-more",
    from: "frameworks that declare every capability by default",
    does: "declares prompts and resources, and knows neither",
    sees: "its tools are there, and the problems say what is not",
    stdio: () => ({
      results: {
        initialize: usual("initialize", {
          capabilities: { tools: {}, prompts: {}, resources: {}, logging: null, x: 1 },
        }),
      },
    }),
    expect: { problem: /^Cannot list prompts: the server answered error/ },
  },
  {
    name: "no-list",
    from: "handlers that return the array itself as the result",
    does: "answers with a list that is none",
    sees: "it is there, without tools, and the problem says why",
    stdio: () => ({ results: { "tools/list": { items: [] } } }),
    expect: { tools: [], problem: /^Cannot list tools: the result has no array "tools" of tools$/ },
  },
  {
    name: "storm",
    from: "servers that watch files and announce each of a thousand changes",
    does: "says a thousand times in one go that its list has changed",
    sees: "its list is read again a few times, not a thousand",
    stdio: () => ({
      write: (answer, { method }) =>
        method === "tools/call"
          ? notify("notifications/tools/list_changed").repeat(1_000) + `${answer}\n`
          : `${answer}\n`,
    }),
    expect: {
      also: async (lab) => {
        const asked = () => lab.asked("storm", "tools/list");
        await eventually(asked, (times) => times >= 2, "a list that is read again");
        assert.ok(asked() < 20, `asked ${asked()} times`);
      },
    },
  },
  {
    name: "always-changed",
    from: "servers that rebuild their list when it is read, and announce that",
    does: "says with every list that it has changed",
    sees: "it is read with longer and longer pauses",
    stdio: () => ({
      write: (answer, { method }) =>
        `${answer}\n${method === "tools/list" ? notify("notifications/tools/list_changed") : ""}`,
    }),
    expect: {
      also: (lab) => {
        const asked = lab.asked("always-changed", "tools/list");
        assert.ok(asked < 50, `asked ${asked} times`);
      },
    },
  },
];

/** Stdio servers, each odd in one way. */
export const STDIO_SERVERS: readonly ServerRow[] = [...WRITING, ...MESSAGES, ...GREETING, ...LISTS];
