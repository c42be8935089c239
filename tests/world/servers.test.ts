import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { realClients } from "../behaviour/real-clients.ts";
import { resultOf } from "../support/clients/message.ts";
import { ModernClient } from "../support/clients/modern.ts";
import { ODD_ANSWERS } from "./answer-rows.ts";
import { DEFINITIONS } from "./definition-rows.ts";
import { HTTP_SERVERS } from "./http-rows.ts";
import { Lab, type View, wordsOf } from "./lab.ts";
import { checkRows, type ServerRow } from "./rows.ts";
import { STDIO_SERVERS } from "./stdio-rows.ts";

const ROWS: readonly ServerRow[] = [
  ...STDIO_SERVERS,
  ...DEFINITIONS,
  ...HTTP_SERVERS,
  ...ODD_ANSWERS,
];

// Hooks outside of this would be those of all files that are run as one.
describe("world: servers", () => {
  let lab: Lab;

  before(async () => {
    checkRows(ROWS);
    lab = await Lab.start(ROWS);
  });

  after(() => lab[Symbol.asyncDispose]());

  for (const row of ROWS) {
    test(`${row.name}: a server that ${row.does}: ${row.sees}`, async () => {
      const { first, problem, error, also } = row.expect ?? {};
      await lab.neighbour.beside(async () => {
        await first?.(lab);
        for (const view of lab.views) await look(lab, view, row);
        const { problems, lastError } = lab.statusOf(row.name);
        if (problem === undefined) assert.deepEqual(problems, []);
        else assert.ok(problems.some((text) => problem.test(text)), problems.join("\n"));
        if (error !== undefined) assert.match(String(lastError), error);
        await also?.(lab);
      });
    });
  }

  test("clients of the SDKs take the lists with all of that in them", async () => {
    for (const path of ["/mcp", "/profiles/all/mcp"]) {
      const url = new URL(path, lab.server.url).href;
      const raw = await new ModernClient(url).request("tools/list");
      const names = resultOf(raw).json.tools.map((tool: { name: string }) => tool.name);
      const clients = realClients({ url, sseUrl: "", commands: {} });
      for (const name of ["SDK v1, Streamable HTTP", "SDK v2 legacy", "SDK v2 modern"]) {
        const client = await clients.get(name)!();
        assert.deepEqual((await client.names()).tools, names, name);
        await client.close();
      }
    }
  });

  test("the neighbour has heard nothing of all that", () => lab.neighbour.assertUndisturbed());
});

async function look(lab: Lab, view: View, { name, expect = {} }: ServerRow): Promise<void> {
  const { error, call = /^ok$/, inView } = expect;
  const told = expect.tools ?? (error === undefined ? ["echo"] : []);
  const tools = typeof told === "function" ? told(view) : told;
  const there = await view.toolsOf(name);
  const names = there.map((tool) => tool["name"]);
  const wanted = tools.map((tool) => view.nameOf(name, tool));
  assert.deepEqual(names, wanted, `${view.name}: ${lab.statusOf(name).lastError}`);
  if (tools.includes("echo")) assert.match(wordsOf(await view.call(name, "echo")), call);
  await inView?.(view, lab);
}

test("world: a row without a source is refused, as one that is there twice", () => {
  const row = { name: "x", from: "some report", does: "is odd in a way", sees: "it is like any" };
  checkRows([row]);
  assert.throws(() => checkRows([{ ...row, from: "" }]), /Row "x" does not say "from"/);
  assert.throws(() => checkRows([{ ...row, sees: " " }]), /Row "x" does not say "sees"/);
  assert.throws(() => checkRows([row, row]), /Row "x" is there twice/);
  assert.throws(() => checkRows([{ ...row, name: "X y" }]), /the name is no word/);
});
