/** docs/troubleshooting.md against the source: what it quotes is said, and what is said is quoted. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { type SourceText, textsIn } from "./messages.ts";

const ROOT = new URL("../../", import.meta.url);
const PAGE = "docs/troubleshooting.md";

/** Messages that the page need not explain. */
const NOT_ON_THE_PAGE: readonly (readonly [place: string, text: RegExp, why: string])[] = [
  ["src/cli/diagnose", /./, "findings of check: docs/check.md names the rules"],
  ["src/schema/check", /./, "findings of check: docs/check.md names the rules"],
  ["src/schema/", /./, "what is wrong with an argument: said to the model, which mends it"],
  ["src/gating/execute", /./, "what is wrong with an argument: said to the model, which mends it"],
  ["src/gating/meaning/", /^(?!Cannot)/, 'the reason of another: ends "… by words alone"'],
  ["src/gating/use", /^…; counting goes on|^found/, "the end of another"],
  ["src/cli/bridge", /^(?:ended|it|nobody|the session)/, "the reason of another: of Cannot reach"],
  ["src/cli/clients/files", /^(?:its|permission|the) /, "the reason of another: of Cannot write"],
  ["src/cli/clients/toml", /^it cannot/, "the reason of another: of Cannot edit"],
  ["src/config/", /^(?:it is none|file … has not|its command has)/, "the reason of another"],
  ["src/gateway/clients/", /^found/, "the reason of another: of Cannot use"],
  ["src/gateway/members/", /^(?:found|lists of)/, "the reason of another: of Cannot use"],
  ["src/lib/", /^found/, "the reason of another: of Cannot use"],
  ["src/front/auth/key-set", /^(?:its|…|there)/, "the reason of another: of Cannot get the keys"],
  ["src/protocol/issuer", /^…/, "the reason of another: of Cannot get the keys"],
  ["src/upstream/", /^no (?:JSON|reason)/, "the reason of another"],
  ["src/upstream/oauth/guard", /./, "the reason of another: of gets no token"],
  ["src/upstream/oauth/token", /./, "the reason of another: of gets no token"],
  ["src/upstream/oauth/grants", /^(?:is missing|expected)/, "why a grant handed over is refused"],
  ["src/upstream/oauth/logins", /^"url"/, "why a grant is refused that somebody hands over"],
  ["src/upstream/connection/questions", /^The server/, "an end that the server wanted"],
  ["src/upstream/connection/listen", /^Replaced/, "an end that somebody wanted"],
  ["src/gateway/middleware/shared-call", /./, "an end that somebody wanted"],
  ["src/upstream/connection/channel", /was cancelled$/, "an end that the client wanted"],
  [
    "src/upstream/",
    /^(?:was stopped|was logged in to anew|was not asked|is being stopped|is no longer|is gone again|is not needed)/,
    "an end that somebody wanted",
  ],
  ["src/upstream/supervisor", /^is …$/, "a word of docs/status.md: the state"],
  ["src/upstream/choose", /^another instance/, "nobody hears of it"],
  ["src/", /^Run "mcproxy help/, "a hint, which says by itself what to do"],
  ["src/observe/otlp/exporter", /./, "the reason of another: of Cannot send"],
  ["src/observe/advice", /./, "advice, which says by itself what to do"],
  ["src/app/server", /^received/, "why it stops, told at info"],
  ["src/app/reload", /nothing has changed$/, "told on request, at info"],
  [
    "src/",
    /^Cannot (?:create a queue|limit|write canonical|build the registry|compile a pattern)/,
    "a mistake in the source: no configuration brings it about",
  ],
  ["src/log/", /^Cannot (?:write to syslog|open)/, "inside the log, which has another way"],
  [
    "src/runtime/",
    /^(?:Cannot (?:send to|write to)|closed, with another protocol)/,
    "inside the runtime, whose caller says more",
  ],
];

/** Spaces are as the page breaks its lines. */
const plain = (text: string) => text.replace(/\s+/g, " ").trim();

const texts = readdirSync(new URL("src/", ROOT), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts")).sort()
  .flatMap((path) => textsIn(readFileSync(new URL(`src/${path}`, ROOT), "utf8"), `src/${path}`))
  .map((found) => ({ ...found, text: plain(found.text) }));

const page = readFileSync(new URL(PAGE, ROOT), "utf8");

/** What the page quotes: `code` in the first column of its tables, and in its last section. */
const quotations = [
  ...page.matchAll(/^\| ([^|]*) \|/gm),
  [undefined, page.slice(page.indexOf("## Inside the gateway"))],
].flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, text]) => plain(text!)));

/** Finds the texts with what is literal in the quotation, in its order and from the beginning. */
function patternOf(quotation: string): RegExp {
  return new RegExp(`^${quotation.split("…").map((part) => RegExp.escape(part)).join(".*")}`);
}

function excuses([place, what]: (typeof NOT_ON_THE_PAGE)[number], found: SourceText): boolean {
  return found.place.startsWith(place) && what.test(found.text);
}

test("every message that docs/troubleshooting.md quotes is in the source", () => {
  assert.ok(quotations.length > 150, `only ${quotations.length} quotations`);
  const unsaid = quotations.filter((one) => {
    const pattern = patternOf(one);
    return !texts.some(({ text }) => pattern.test(text));
  });
  assert.deepEqual(unsaid, []);
});

test("every message of the source is in docs/troubleshooting.md, or in the list of reasons", () => {
  const messages = texts.filter(({ isMessage }) => isMessage);
  assert.ok(messages.length > 250, `only ${messages.length} messages`);
  const patterns = quotations.map(patternOf);
  const missing = messages
    .filter(({ text }) => !patterns.some((pattern) => pattern.test(text)))
    .filter((message) => !NOT_ON_THE_PAGE.some((reason) => excuses(reason, message)));
  assert.deepEqual(missing.map(({ place, text }) => `${place} ${text}`), []);
});

test("every reason why a message is not on the page is about one", () => {
  const idle = NOT_ON_THE_PAGE.filter((reason) => !texts.some((text) => excuses(reason, text)));
  assert.deepEqual(idle, []);
});

test("textsIn() reads literals, sums and templates, and knows which are messages", () => {
  const source = 'log.warn("Lost {what}", { what }); log.debug("Cannot say");' +
    "throw new RpcError(code, `no ${a ? `${b}` : '}'} at ` +\n  \"all, of /*x*/\" + more);" +
    'const why = isIt ? \'one way\' : "or other"; const re = /[/"]\'/; f("a text");';
  const found = textsIn(source, "x").map(({ text, isMessage }) => [text, isMessage]);
  assert.deepEqual(found, [
    ["Lost …", true],
    ["Cannot say", false],
    ["no … at all, of /*x*/", true],
    ["one way", true],
    ["or other", true],
    ["a text", false],
  ]);
});
