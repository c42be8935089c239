import assert from "node:assert/strict";
import { eventually } from "../support/inbox.ts";
import type { View } from "./lab.ts";
import type { Json, ServerRow } from "./rows.ts";
import { LIKE_ANY, usual } from "./servers.ts";

const MENDED = "it is mended where all servers are together, and left as it is at its own URL";

/** A stdio server with one tool, `echo`, of these members. */
const tool = (members: object) => () => ({
  results: { "tools/list": { tools: [{ name: "echo", ...members }] } },
});

/** A stdio server that declares these capabilities. */
const declares = (capabilities: Json) => () => ({
  results: { initialize: usual("initialize", { capabilities }) },
});

/** Looks at the tool as it came: at its own URL as it was sent, elsewhere mended. */
const seen = (row: string, own: RegExp, elsewhere: RegExp) => async (view: View) => {
  const [found] = await view.toolsOf(row);
  assert.match(JSON.stringify(found), view.name === "1:1" ? own : elsewhere, view.name);
};

/** Servers whose definitions and capabilities are not as the protocol has them. */
export const DEFINITIONS: readonly ServerRow[] = [
  {
    name: "bare-tool",
    from: "hand-written servers: a tool without arguments gets no schema",
    does:
      "lists a tool without an inputSchema, which clients of the SDKs refuse the whole list for",
    sees: MENDED,
    stdio: tool({}),
    expect: {
      problem: /^Mended tools: "inputSchema" is missing \("echo"\)$/,
      inView: seen("bare-tool", /"echo"\}$/, /"inputSchema":\{"type":"object"\}/),
    },
  },
  {
    name: "null-optional",
    from: "structs without omitempty: title and outputSchema are null",
    does: "lists a tool with members that are null",
    sees: MENDED,
    stdio: tool({ title: null, outputSchema: null, inputSchema: { type: "object" } }),
    expect: {
      problem: /^Mended tools: "(?:title|outputSchema)" is null \("echo"\)$/,
      inView: seen("null-optional", /"title":null/, /^(?!.*(?:title|outputSchema))/),
    },
  },
  {
    name: "php-arrays",
    from: "PHP writes an empty object as []",
    does: "lists a tool whose properties are an empty array",
    sees: MENDED,
    stdio: tool({ inputSchema: { type: "object", properties: [] }, annotations: [] }),
    expect: {
      problem: /^Mended tools: "inputSchema\.properties" is not valid/,
      inView: seen("php-arrays", /"properties":\[\]/, /"properties":\{\}/),
    },
  },
  {
    name: "odd-schema",
    from: "servers that give a type of their language for a schema",
    does: "lists a tool whose schema is a text beside one that is right",
    sees: "the former is left out where all servers are together",
    stdio: () => ({
      results: {
        "tools/list": {
          tools: [
            { name: "echo", inputSchema: { type: "object" } },
            { name: "text", inputSchema: "string" },
          ],
        },
      },
    }),
    expect: {
      tools: (view) => view.name === "1:1" ? ["echo", "text"] : ["echo"],
      problem: /^Left out tools: "inputSchema" is not valid \("text"\)$/,
    },
  },
  {
    name: "undeclared",
    from: "servers of the first weeks declare nothing, and clients of the SDKs list them",
    does: "has tools and declares no capability",
    sees: "it is asked once it is there, and is like any other then",
    stdio: declares({}),
    expect: {
      first: ({ views: [view] }) =>
        eventually(() => view!.toolsOf("undeclared"), ({ length }) => length > 0, "its tools"),
    },
  },
  {
    name: "array-capability",
    from: "PHP again: capabilities are []",
    does: "declares its tools by an empty array",
    sees: LIKE_ANY,
    stdio: declares({ tools: [] }),
    expect: { problem: /^Mended capabilities: "tools" is not valid/ },
  },
  {
    name: "constructor",
    from: "a name that every object of JavaScript has a member of",
    does: "is called constructor",
    sees: LIKE_ANY,
    stdio: () => ({}),
  },
];
