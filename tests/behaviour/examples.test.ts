// The configurations of `examples/`, as they are, and what each promises.

import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { HttpClient } from "../support/clients/http.ts";
import { resultOf } from "../support/clients/message.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { ON_BUN, ROOT } from "../support/program.ts";
import { call, callText, listKeys } from "./helpers.ts";

/** Starts what is installed here, in that version, without asking a registry. */
const NPX = `#!/usr/bin/env node
const [yes, spec, ...args] = process.argv.slice(2);
const at = spec.lastIndexOf("@");
const folder = ${JSON.stringify(`${ROOT}node_modules/`)} + spec.slice(0, at);
const { version } = JSON.parse(require("node:fs").readFileSync(folder + "/package.json", "utf8"));
if (yes !== "-y" || version !== spec.slice(at + 1)) throw new Error(spec + " is not " + version);
process.argv.splice(2, process.argv.length, ...args);
import(folder + "/dist/index.js");
`;

interface Started {
  readonly gateway: Gateway;
  /** What the example may read and write. */
  readonly folder: string;
  connect(path: string): Promise<HttpClient>;
  tools(path: string): Promise<string[]>;
}

/** What each example has to keep, by its folder. */
const PROMISES: Readonly<Record<string, (started: Started) => Promise<void>>> = {
  "one-person": async ({ gateway, folder, connect, tools }) => {
    const names = await tools("/mcp");
    assert.ok(names.includes("memory_search_nodes"), names.join());
    assert.ok(names.includes("sequentialthinking"), names.join());
    const files = names.filter((name) => name.startsWith("files_"));
    assert.ok(files.includes("files_read_text_file"), files.join());
    assert.ok(!files.some((name) => /write|edit|move|create/.test(name)), files.join());
    const { servers } = await gateway.status();
    const states = servers.map(({ name, state }) => [name, state === "ready"]);
    assert.deepEqual(Object.fromEntries(states), {
      memory: true,
      files: true,
      thinking: true,
      everything: false,
    });
    const client = await connect("/mcp");
    const path = join(folder, "note.txt");
    assert.equal(await callText(client, "files_read_text_file", { path }), "of the example");
    const entity = { name: "Ada", entityType: "person", observations: ["wrote the first program"] };
    await callText(client, "memory_create_entities", { entities: [entity] });
    assert.match(await callText(client, "memory_search_nodes", { query: "Ada" }), /first program/);
    assert.match(await readFile(join(folder, "memory.jsonl"), "utf8"), /Ada/);
  },

  team: async ({ connect, tools }) => {
    const all = await tools("/mcp");
    assert.ok(all.includes("notes_delete_entities") && all.includes("files_write_file"));
    const reading = await tools("/profiles/reading/mcp");
    assert.ok(reading.includes("notes_read_graph") && reading.includes("files_list_directory"));
    assert.ok(
      !reading.some((name) => /delete|write|create|edit|move|add/.test(name)),
      `${reading}`,
    );
    const notes = await tools("/profiles/notes/mcp");
    assert.ok(notes.includes("notes_create_entities"), notes.join());
    assert.ok(notes.includes("thinking_sequentialthinking"), notes.join());
    assert.ok(!notes.some((name) => /^files_|delete/.test(name)), notes.join());
    const client = await connect("/profiles/notes/mcp");
    assert.match(
      resultOf(client.initialized!).json.instructions,
      /Look for a note before you write one/,
    );
    assert.match(await callText(client, "notes_read_graph"), /entities/);
    const refused = await call(client, "files_list_allowed_directories");
    assert.ok(refused.json.error !== undefined, refused.text);
  },

  gated: async ({ connect, tools }) => {
    assert.deepEqual((await tools("/mcp")).toSorted(), [
      "discover_tools",
      "execute_tool",
      "list_mcp_servers",
      "list_provisioned_tools",
      "memory_search_nodes",
      "provision_tools",
    ]);
    const all = await tools("/ungated/mcp");
    assert.ok(all.includes("everything_echo") && all.length > 20, all.join());
    assert.deepEqual(await tools("/profiles/script/mcp"), all);
    const client = await connect("/mcp");
    const query = "send back a message";
    assert.match(await callText(client, "discover_tools", { query }), /everything_echo/);
    const said = { tool_id: "everything_echo", arguments: { message: "through the gate" } };
    assert.match(await callText(client, "execute_tool", said), /through the gate/);
  },
};

test("every example has a test", async () => {
  const entries = await readdir(`${ROOT}examples`, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  assert.deepEqual(folders.toSorted(), Object.keys(PROMISES).toSorted());
});

for (const [name, keeps] of Object.entries(PROMISES)) {
  test(`the example "${name}" starts and keeps what it promises`, async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), "mcproxy-example-")));
    try {
      await writeFile(join(folder, "note.txt"), "of the example");
      await writeFile(join(folder, "npx"), NPX);
      await chmod(join(folder, "npx"), 0o755);
      const gateway = await startGateway({
        mode: ON_BUN ? "bun" : "deno",
        config: await readFile(`${ROOT}examples/${name}/mcp-servers.json`, "utf8"),
        env: {
          PATH: `${folder}:${process.env["PATH"]}`,
          FILES: folder,
          MEMORY_FILE: join(folder, "memory.jsonl"),
        },
      });
      try {
        await gateway.ready();
        const connect = (path: string) => HttpClient.connect(gateway.base + path);
        const tools = async (path: string) => await listKeys(await connect(path), "tools");
        await keeps({ gateway, folder, connect, tools });
        await gateway.stop();
      } finally {
        await gateway.kill();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}
