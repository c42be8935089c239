// A stdio MCP server as fast as one can be: raw JSON-RPC on plain Node, nothing else.
// Arguments: how many tools it lists, milliseconds before it answers `initialize`. A call with
// `bytes` is answered with so much text.

const [tools, delay] = process.argv.slice(2).map(Number);

const LIST = JSON.stringify({ tools: Array.from({ length: tools }, (_, index) => tool(index)) });

/** A tool of some 400 bytes, as the common servers have them. */
function tool(index) {
  return {
    name: `read_document_${String(index).padStart(3, "0")}`,
    description: "Read the contents of one document and return them as text. Relative paths are " +
      "resolved against the first allowed folder.",
    inputSchema: {
      type: "object",
      properties: {
        path: { type: "string", description: "Path of the document" },
        limit: { type: "integer", minimum: 1, maximum: 10000 },
      },
      required: ["path"],
      additionalProperties: false,
    },
    annotations: { readOnlyHint: true },
  };
}

function answer(id, text) {
  process.stdout.write(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},${text}}\n`);
}

const made = new Map();

/** Lines with something to escape, made once. */
function large(bytes) {
  if (!made.has(bytes)) {
    const line =
      'A line of some text with "quotes" in it, as files have them, and no more than that.\n';
    const text = line.repeat(Math.ceil(bytes / line.length)).slice(0, bytes);
    made.set(bytes, JSON.stringify({ content: [{ type: "text", text }], isError: false }));
  }
  return made.get(bytes);
}

function handle({ id, method, params }) {
  if (id === undefined) return;
  switch (method) {
    case "initialize": {
      const text = JSON.stringify({
        protocolVersion: params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "bench", version: "1" },
      });
      return void setTimeout(() => answer(id, `"result":${text}`), delay);
    }
    case "tools/list":
      return answer(id, `"result":${LIST}`);
    case "tools/call": {
      const { message, bytes } = params.arguments;
      if (bytes !== undefined) return answer(id, `"result":${large(bytes)}`);
      const content = [{ type: "text", text: `Echo: ${message}` }];
      return answer(id, `"result":${JSON.stringify({ content, isError: false })}`);
    }
    case "ping":
      return answer(id, '"result":{}');
    default:
      return answer(id, '"error":{"code":-32601,"message":"Method not found"}');
  }
}

let rest = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (chunk) => {
  const lines = (rest + chunk).split("\n");
  rest = lines.pop();
  for (const line of lines) handle(JSON.parse(line));
});
process.stdin.on("end", () => process.exit(0));
