// Every command of docs/http.md, as it stands there, against a gateway with a real server.

import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { startGateway } from "../support/gateway.ts";
import { within } from "../support/inbox.ts";
import { startProcess } from "../support/process.ts";
import { BUN, ROOT } from "../support/program.ts";

/** As much of curl as the page uses: a machine need not have it. */
const CURL = `#!${BUN}
const request = { method: undefined, headers: {} };
let url, headersTo, bodyTo;
for (let args = process.argv.slice(2); args.length > 0;) {
  const word = args.shift();
  if (word === "-X") request.method = args.shift();
  else if (word === "-H") {
    const header = args.shift();
    const at = header.indexOf(":");
    request.headers[header.slice(0, at)] = header.slice(at + 1).trim();
  } else if (word === "-d") request.body = args.shift();
  else if (word === "-D") headersTo = args.shift();
  else if (word === "-o") bodyTo = args.shift();
  else if (word.startsWith("http")) url = word;
  else if (word !== "-s") throw new Error(\`curl \${word} is not known here\`);
}
request.method ??= request.body === undefined ? "GET" : "POST";
const answer = await fetch(url, request);
if (headersTo === "-") {
  for (const [name, value] of answer.headers) process.stdout.write(\`\${name}: \${value}\\r\\n\`);
}
const text = await answer.text();
if (bodyTo === undefined) process.stdout.write(\`\${text}\\n\`);
`;

/** What the answers to a block have in them, in the order of the page. */
const EXPECTED: readonly (readonly RegExp[])[] = [
  [/"name":"everything_echo"/, /"resultType":"complete"/],
  [/"text":"Echo: hello"/, /"resultType":"complete"/],
  [/"text":"Echo: hello again"/],
  [/"paths":\[.*"\/mcp"/, /"servers":\[/, /"everything_echo"/],
];

test("the commands of docs/http.md do what the page says", async () => {
  const page = await readFile(`${ROOT}docs/http.md`, "utf8");
  const blocks = [...page.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) => block!);
  assert.equal(blocks.length, EXPECTED.length);
  const folder = await mkdtemp(join(tmpdir(), "mcproxy-curl-"));
  const everything = `${ROOT}node_modules/@modelcontextprotocol/server-everything/dist/index.js`;
  const gateway = await startGateway({
    mode: "memory",
    config: { mcpServers: { everything: { command: "node", args: [everything] } } },
  });
  try {
    await gateway.ready();
    await writeFile(join(folder, "curl"), CURL);
    await chmod(join(folder, "curl"), 0o755);
    const env = { ...process.env, PATH: `${folder}:${process.env["PATH"]}` };
    for (const [index, block] of blocks.entries()) {
      const script = block.replaceAll("http://127.0.0.1:12009", gateway.base);
      const shell = await startProcess("/bin/sh", ["-ec", script], { env });
      shell.endInput();
      const { code } = await within(shell.exited, "a block of docs/http.md", 60_000);
      const said = shell.stdout.items.join("\n");
      assert.equal(code, 0, shell.stderr.items.join("\n"));
      for (const expected of EXPECTED[index]!) assert.match(said, expected, block);
      assert.doesNotMatch(said, /"error":[{"]/, block);
    }
  } finally {
    await gateway.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
