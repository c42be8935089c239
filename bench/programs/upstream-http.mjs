// A Streamable HTTP server on plain Node, nothing else. It answers a call at /json as JSON, at /sse
// as an event stream with one event. Prints its address.

import http from "node:http";

const TOOL = {
  name: "read_document_000",
  description: "Read the contents of one document and return them as text",
  inputSchema: { type: "object" },
};

function resultOf(method, params) {
  switch (method) {
    case "initialize": {
      const { protocolVersion } = params;
      const serverInfo = { name: "bench", version: "1" };
      return { protocolVersion, capabilities: { tools: {} }, serverInfo };
    }
    case "tools/list":
      return { tools: [TOOL] };
    case "tools/call":
      return { content: [{ type: "text", text: `Echo: ${params.arguments.message}` }] };
    default:
      return {};
  }
}

const server = http.createServer(async (request, response) => {
  if (request.method !== "POST") return response.writeHead(405).end();
  let body = "";
  request.setEncoding("utf8");
  for await (const chunk of request) body += chunk;
  const { id, method, params } = JSON.parse(body);
  if (id === undefined) return response.writeHead(202).end();
  const answer = JSON.stringify({ jsonrpc: "2.0", id, result: resultOf(method, params) });
  if (request.url === "/sse" && method === "tools/call") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    return response.end(`event: message\ndata: ${answer}\n\n`);
  }
  const headers = { "content-type": "application/json", "content-length": answer.length };
  response.writeHead(200, headers).end(answer);
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
