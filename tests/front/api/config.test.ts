/** The configuration in the browser: masked, checked, and saved as it is written. */

import assert from "node:assert/strict";
import { chmod, chown, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { Scope } from "../../behaviour/scope.ts";
import { inDirectory } from "../../config/temp.ts";
import { House, LOCAL } from "../access/house.ts";

const FROM = { from: "127.0.0.1" };
const SECRET = "canary-4711-secret";

const TEXT = `// Mine, and not to be changed.
{
  "mcpServers": {
    /* both */ "a": { "command": "fake", "env": { "API_TOKEN": "${SECRET}" } },
    "b": { "command": "fake", "env": { "OTHER": "\${HOME}" } },
  },
  "dashboard": { "edit": true },
}
`;

// deno-lint-ignore no-explicit-any
type Told = any;

interface Edited {
  readonly house: House;
  readonly path: string;
  get(): Promise<Told>;
  put(text: string, hash: string): Promise<readonly [status: number, told: Told]>;
}

/** A gateway whose file is this one; only so much of it matters here. */
function edited(
  run: (edited: Edited) => Promise<void>,
  { edit = true, text = TEXT, name = "mcp.json", more = "" } = {},
) {
  return () =>
    inDirectory(async (directory) => {
      await using scope = new Scope();
      const path = join(directory, name);
      await writeFile(path, text, { mode: 0o640 });
      await chmod(path, 0o640);
      const house = await House.open(
        scope,
        {
          mcpServers: { a: { command: "fake", env: { API_TOKEN: SECRET } } },
          profiles: {},
          dashboard: { edit },
        },
        undefined,
        { file: path + more },
      );
      await run({
        ...{ house, path },
        get: async () => {
          const response = await house.ask("/api/config", FROM);
          assert.equal(response.status, 200);
          const told = await response.text();
          assert.ok(!told.includes(SECRET), told);
          return JSON.parse(told);
        },
        put: async (text, hash) => {
          const headers = { "content-type": "application/json" };
          const body = JSON.stringify({ text, hash });
          const asked = { ...LOCAL, method: "PUT", headers, body };
          const response = await house.ask("/api/config", asked);
          return [response.status, await response.json()] as const;
        },
      });
    });
}

test(
  "the file is shown as it is written, its secrets masked, and saved with them",
  edited(async ({ path, get, put }) => {
    const { text, hash, edit, file, sources, error } = await get();
    assert.equal(text, TEXT.replace(SECRET, "[redacted 1]"));
    assert.deepEqual([edit, file, sources, error], [true, path, [path], null]);
    const next = text.replace("Mine", "Ours").replace("${HOME}", "${HOME}/x");
    const [status, told] = await put(next, hash);
    assert.equal(status, 200, JSON.stringify(told));
    const written = await readFile(path, "utf8");
    assert.equal(written, TEXT.replace("Mine", "Ours").replace("${HOME}", "${HOME}/x"));
    assert.equal((await stat(path)).mode & 0o777, 0o640);
    assert.equal((await get()).hash, told.hash);
  }),
);

test(
  "lines end as they did, whoever has edited them; a byte order mark is no text",
  edited(async ({ path, get, put }) => {
    const { text, hash } = await get();
    const fromField = text.replaceAll("\r\n", "\n").replace("Mine", "Ours\n// new");
    const [status, told] = await put(fromField, hash);
    assert.equal(status, 200, JSON.stringify(told));
    const expected = TEXT.replace("Mine", "Ours\n// new").replaceAll("\n", "\r\n");
    assert.equal(await readFile(path, "utf8"), expected);
    assert.equal((await get()).hash, told.hash);
  }, { text: `\uFEFF${TEXT.replaceAll("\n", "\r\n")}` }),
);

test(
  "the same secret has the same number, and another place for it is its own",
  edited(async ({ path, get, put }) => {
    const { text, hash } = await get();
    const next = text.replace(
      '"OTHER": "${HOME}"',
      '"OTHER": "[redacted 1]", "MORE": "[redacted 7]"',
    );
    assert.equal((await put(next, hash))[0], 200);
    const written = await readFile(path, "utf8");
    assert.equal(written.split(SECRET).length, 3);
    assert.ok(written.includes('"[redacted 7]"'), "what stands for nothing is text");
  }),
);

test(
  "what has changed meanwhile is not lost, and what is invalid not saved",
  edited(async ({ path, get, put }) => {
    const { text, hash } = await get();
    const [invalid, { error, issues }] = await put(text.replace('"dashboard"', '"dashbord"'), hash);
    assert.deepEqual([invalid, error], [422, "invalid"]);
    assert.deepEqual(
      issues.map(({ path, line, column, severity }: Told) => [path, line, column, severity]),
      [["dashbord", 7, 3, "error"]],
    );
    assert.match(issues[0].message, /did you mean "dashboard"/);
    assert.equal((await put("{", hash))[0], 422);
    assert.equal(await readFile(path, "utf8"), TEXT);
    await writeFile(path, TEXT.replace("Mine", "Theirs"));
    const [conflict, told] = await put(text, hash);
    assert.deepEqual([conflict, told.error], [409, "changed"]);
    assert.equal(told.hash, (await get()).hash);
    assert.ok((await readFile(path, "utf8")).includes("Theirs"));
    for (const body of [{}, { text: 1, hash }, { text: "{}" }]) {
      const headers = { "content-type": "application/json" };
      assert.equal((await put(body as never, undefined as never))[0], 400, JSON.stringify(headers));
    }
  }),
);

test(
  "of two who save at a time one has the say",
  edited(async ({ get, put }) => {
    const { text, hash } = await get();
    const saved = await Promise.all(
      ["One", "Two"].map((who) => put(text.replace("Mine", who), hash)),
    );
    assert.deepEqual(saved.map(([status]) => status).sort(), [200, 409]);
  }),
);

test(
  "nothing is saved where that is off, and it is said why",
  edited(async ({ path, get, put }) => {
    const { text, hash, edit, why } = await get();
    assert.equal(edit, false);
    assert.match(why, /"dashboard": \{"edit": true\}/);
    const [status, told] = await put(text, hash);
    assert.deepEqual([status, told.error], [403, "forbidden"]);
    assert.equal(await readFile(path, "utf8"), TEXT);
  }, { edit: false }),
);

test(
  "several files are shown, and not saved",
  edited(async ({ path, get, put }) => {
    const { text, edit, why, sources, hash } = await get();
    assert.deepEqual([edit, sources.length], [false, 2]);
    assert.match(why, /several files/);
    assert.ok(text.includes(`// ${path}\n`) && text.includes("Cannot be read"), text);
    assert.equal((await put(text, hash))[0], 403);
  }, { more: ", /no/such/file.json" }),
);

test("a link stays one, and YAML is YAML", () =>
  inDirectory(async (directory) => {
    await using scope = new Scope();
    const target = join(directory, "real.yaml");
    const path = join(directory, "link.yaml");
    const yaml = `# mine\nmcpServers:\n  a:\n    command: fake\n    env: { TOKEN: ${SECRET} }\n`;
    await writeFile(target, yaml);
    await symlink(target, path);
    const settings = {
      mcpServers: { a: { command: "fake", env: { TOKEN: SECRET } } },
      profiles: {},
      dashboard: { edit: true },
    };
    const house = await House.open(scope, settings, undefined, { file: path });
    const { text, hash } = await (await house.ask("/api/config", FROM)).json();
    assert.ok(text.includes("TOKEN: [redacted 1]"), text);
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ text: text.replace("# mine", "# ours"), hash });
    const saved = await house.ask("/api/config", { ...LOCAL, method: "PUT", headers, body });
    assert.equal(saved.status, 200, await saved.text());
    assert.equal(await readFile(target, "utf8"), yaml.replace("# mine", "# ours"));
    assert.equal(await readFile(path, "utf8"), await readFile(target, "utf8"));
  }));

const isRoot = process.getuid?.() === 0;
test(
  "the owner of the file stays who it is",
  { skip: !isRoot && "only root may give a file away" },
  edited(async ({ path, get, put }) => {
    await chmod(path, 0o666);
    await chown(path, 4711, 4712);
    const { text, hash } = await get();
    assert.equal((await put(text, hash))[0], 200);
    const { uid, gid, mode } = await stat(path);
    assert.deepEqual([uid, gid, mode & 0o777], [4711, 4712, 0o666]);
  }),
);

test(
  "a file that may not be written is shown",
  { skip: isRoot && "root may write everything" },
  edited(async ({ path, get, put }) => {
    await chmod(path, 0o440);
    const { text, hash, edit, why } = await get();
    assert.equal(edit, false);
    assert.match(why, /may not be written/);
    assert.equal((await put(text, hash))[0], 403);
  }),
);

test(
  "a secret that only a refused file has is masked as well",
  edited(async ({ path, house, get }) => {
    const token = "ghp_0123456789abcdefghijABCDEFGHIJ";
    await writeFile(
      path,
      TEXT.replace('"a"', `"c": { "env": { "GITHUB_TOKEN": "${token}" } }, "a"`),
    );
    house.gateway.configState.refuse("it is no good");
    const { text, error } = await get();
    assert.ok(!text.includes(token), text);
    assert.equal(error.message, "it is no good");
    assert.ok(Array.isArray(error.issues));
  }),
);

test(
  "a text is checked without files, commands and variables of its own",
  edited(async ({ house }) => {
    const check = async (text: string) => {
      const response = await house.post("/api/config/check", { text }, LOCAL);
      assert.equal(response.status, 200);
      return (await response.json()).issues as Told[];
    };
    assert.deepEqual(await check('{"mcpServers": {"x": {"command": "y"}}}'), []);
    const open = await check(JSON.stringify({
      mcpServers: {
        x: { command: "y", env: { A: "${file:/etc/shadow}", B: "${cmd:touch /tmp/no}" } },
        z: { url: "${NO_SUCH_VARIABLE}" },
      },
      allowCommands: true,
    }));
    assert.deepEqual(open.map(({ path, severity }) => [path, severity]), [
      ["mcpServers.x.env.A", "warning"],
      ["mcpServers.z.url", "warning"],
    ]);
    const unset = await check('{"mcpServers": {}, "logLevel": "${NO_SUCH_VARIABLE}"}');
    assert.deepEqual(unset.map(({ severity }) => severity), ["warning"]);
    const quoted = await check('{"mcpServers": {}, "logLevel": "[redacted 1]"}');
    assert.ok(!JSON.stringify(quoted).includes(SECRET), JSON.stringify(quoted));
    const asKey = await check(
      '{"mcpServers": {}, "[redacted 1]": 1, "gating": {"[redacted 1]": 1}}',
    );
    assert.ok(!JSON.stringify(asKey).includes(SECRET), JSON.stringify(asKey));
    const wrong = await check('{"mcpServers": {"x": {"comand": "y"}}}');
    assert.equal(wrong[0].severity, "error");
    assert.deepEqual(Object.keys(wrong[0]).sort(), [
      ...["column", "line", "message", "path", "severity"],
    ]);
  }),
);

const NEW_SECRET = "canary-4712-secret";

test(
  "the secrets of a file that is refused are in nothing that is said of it",
  edited(async ({ house, get }) => {
    assert.match((await get()).text, /redacted 1.*redacted 2/s);
    for (const number of [1, 2]) {
      const text = `{"mcpServers": {}, "logLevel": "[redacted ${number}]"}`;
      const told = await (await house.post("/api/config/check", { text }, LOCAL)).text();
      assert.match(told, /logLevel/);
      assert.ok(!told.includes(SECRET) && !told.includes(NEW_SECRET), told);
    }
  }, { text: TEXT.replace("${HOME}", NEW_SECRET).replace('"OTHER"', '"PASSWORD"') }),
);
