import assert from "node:assert/strict";
import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { formatIssue } from "../../src/config/issue.ts";
import { loadConfig } from "../../src/config/load.ts";
import { inDirectory } from "./temp.ts";
import { rounds } from "../support/rounds.ts";

/** Whatever comes out must be printable, and where the file could be read, placed in it. */
async function assertLoads(path: string): Promise<void> {
  const result = await loadConfig(path, { env: { NAME: "v" } });
  const issues = result.ok ? result.warnings : result.issues;
  assert.ok(result.ok || issues.length > 0);
  for (const issue of issues) {
    assert.equal(issue.file, path);
    assert.ok(issue.line >= 0 && (issue.line === 0) === (issue.column === 0));
    assert.match(formatIssue(issue), /: ./s);
  }
}

/** Runs the property with files of each format. */
function forAnyBytes(
  name: string,
  bytes: fc.Arbitrary<string | Uint8Array>,
  numRuns: number,
): void {
  test(`loadConfig() never throws for ${name}`, () =>
    inDirectory(async (directory) => {
      for (const ending of ["json", "yaml"]) {
        const path = join(directory, `c.${ending}`);
        await fc.assert(
          fc.asyncProperty(bytes, async (content) => {
            await writeFile(path, content);
            await assertLoads(path);
          }),
          { numRuns: rounds(numRuns) },
        );
      }
    }));
}

forAnyBytes("random bytes", fc.uint8Array({ maxLength: 400 }), 200);

const token = fc.constantFrom(
  ...[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\n\t",
    '"',
    "'",
    "#",
    "|",
    ">",
    "&a",
  ],
  ...["*a", "<<: ", "!!str ", "---", "%", "?", "@", "~", "x", "1", "true", "${", "${file:", "}"],
  ...["mcpServers", "servers", "context_servers", "proxy", "inputs", "command", "url", "env"],
);
forAnyBytes("random tokens", fc.array(token, { maxLength: 40 }).map((all) => all.join("")), 300);

forAnyBytes("any JSON", fc.json({ maxDepth: 5 }), 200);

const shape = fc.record({
  mcpServers: fc.anything(),
  servers: fc.anything(),
  context_servers: fc.anything(),
  proxy: fc.anything(),
  features: fc.anything(),
  inputs: fc.anything(),
  mcp: fc.anything(),
}, { requiredKeys: [] });
forAnyBytes("any layout", shape.map((value) => JSON.stringify(value) ?? ""), 300);

const key = fc.constantFrom(
  ...["command", "args", "env", "url", "headers", "auth", "type", "envFile", "serverUrl", "source"],
  ...["settings", "timeout", "name", "disabled", "__proto__", "constructor", "trust"],
);
const value = fc.oneof(
  fc.constantFrom(
    "x",
    "${NAME}",
    "${file:none}",
    "${cmd:true}",
    "${input:a}",
    "${workspaceFolder}",
  ),
  fc.jsonValue({ maxDepth: 2 }),
  fc.dictionary(
    fc.constantFrom("path", "args", "type", "token", "CLIENT_ID", "default", "id"),
    fc.string(),
  ),
);
const entries = fc.dictionary(fc.string(), fc.dictionary(key, value, { maxKeys: 6 }), {
  maxKeys: 3,
});
const section = fc.constantFrom("mcpServers", "servers", "context_servers");
forAnyBytes(
  "nearly right entries of every layout",
  fc.tuple(section, entries, fc.boolean(), value).map(([name, servers, hasProxy, inputs]) =>
    JSON.stringify({ [name]: servers, inputs, ...(hasProxy ? { proxy: {} } : {}) })
  ),
  300,
);

const shapingKey = fc.constantFrom(
  ...["include", "exclude", "rename", "override", "tags", "title", "annotations", "hideParameters"],
  ...["defaults", "fixed", "ttl", "public", "pattern", "with", "flags", "tools", "servers"],
  ...["instructions", "prefix", "*", "get_{a,b}", "__proto__", "constructor", "", "dev"],
);
const shapingValue = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom("x", "*", "${NAME}", "(", "a+", "10m", "{a,b}".repeat(9), 0, 1000, true, null),
    fc.array(tie("any"), { maxLength: 3 }),
    fc.dictionary(shapingKey, tie("any"), { maxKeys: 4 }),
  ),
})).any;
const shapedServer = fc.dictionary(
  fc.constantFrom("tools", "prompts", "resources", "tags", "maxResultBytes", "replace", "cache"),
  shapingValue,
);
const shapedRoot = fc.dictionary(fc.constantFrom("profiles", "tags", "cacheSize"), shapingValue);
forAnyBytes(
  "any shape, profile and transformation",
  fc.tuple(shapedServer, shapedRoot).map(([server, root]) =>
    JSON.stringify({ ...root, mcpServers: { a: { ...server, command: "x" } } })
  ),
  500,
);

test("loadConfig() never throws for good YAML with a piece cut, doubled or replaced", async () => {
  const folder = new URL("../golden/config/", import.meta.url);
  const texts = await Promise.all(
    (await readdir(folder)).filter((name) =>
      name.startsWith("ok-") && name.endsWith(".yaml.golden")
    )
      .map(async (name) =>
        (await readFile(new URL(name, folder), "utf8")).split("\n------")[0] ?? ""
      ),
  );
  assert.ok(texts.length >= 4);
  await inDirectory(async (directory) => {
    const path = join(directory, "c.yaml");
    const cut = fc.tuple(
      fc.constantFrom(...texts),
      fc.nat(),
      fc.nat(20),
      fc.string({ maxLength: 3 }),
    );
    await fc.assert(
      fc.asyncProperty(cut, async ([text, at, length, piece]) => {
        const from = at % (text.length + 1);
        await writeFile(path, text.slice(0, from) + piece + text.slice(from + length));
        await assertLoads(path);
      }),
      { numRuns: rounds(500) },
    );
  });
});

test("loadConfig() never throws for credentials of any content", () =>
  inDirectory(async (directory) => {
    const config = join(directory, "c.json");
    const credentials = join(directory, "s.yaml");
    await writeFile(config, '{ "mcpServers": { "a": { "command": "x", "args": ["${A}"] } } }');
    await writeFile(credentials, "");
    await chmod(credentials, 0o600);
    const content = fc.oneof(fc.string(), fc.json(), fc.array(token).map((all) => all.join("")));
    await fc.assert(
      fc.asyncProperty(content, async (text) => {
        await writeFile(credentials, text);
        const result = await loadConfig(config, { env: {}, credentials });
        if (!result.ok) assert.ok(result.issues.every(({ file }) => file === credentials));
      }),
      { numRuns: rounds(200) },
    );
  }));
