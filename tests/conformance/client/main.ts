// The client the referee starts for each client scenario, with the URL of its server as the last
// argument. It talks to that server through a gateway of its own, or directly for comparison.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import process from "node:process";
import { within } from "../../support/inbox.ts";
import type { Mode } from "../referee.ts";
import { entryOf, logInAsTold, type LoginContext } from "./login.ts";
import { SCENARIOS } from "./scenarios.ts";

const { env } = process;
const name = env["MCP_CONFORMANCE_SCENARIO"] ?? "";
const version = env["MCP_CONFORMANCE_PROTOCOL_VERSION"];
const context: LoginContext = JSON.parse(env["MCP_CONFORMANCE_CONTEXT"] ?? "{}");
const server = process.argv.at(-1)!;

/**
 * How long each of the waits here may take, ms: all together less than the referee waits, for that
 * leaves the gateway behind and does not say what was waited for.
 */
const DEADLINE = 50_000;

// Whoever ends the referee ends this program too, and with it its gateway.
process.stdin.on("end", () => process.exit(1)).resume();

const isLogin = name.startsWith("auth/");
const scenario = SCENARIOS.get(isLogin ? "auth" : name);
if (scenario === undefined) throw new Error(`Cannot play "${name}": no such scenario`);
const via = env["MCPROXY_CONFORMANCE_VIA"] as "direct" | Mode;
const playing = via === "direct" ? play(server) : playThroughGateway(via);
const code = await playing.then(() => 0, (error) => {
  process.stderr.write(`${error?.stack ?? error}\n`);
  return 1;
});
// Nothing may keep it: the referee waits for the end of what it started, whatever its time limit.
process.exit(code);

async function playThroughGateway(mode: Mode): Promise<void> {
  const { startGateway } = await import("../../support/gateway.ts");
  const gateway = await startGateway({
    mode,
    config: {
      mcpServers: { scenario: isLogin ? await entryOf(name, server, context) : { url: server } },
    },
  });
  gateway.logs.follow((line) => process.stderr.write(`${line}\n`), () => {});
  try {
    await within(gateway.ready(), "the start of the gateway", DEADLINE);
    const turn = () => play(gateway.serverUrl("scenario"));
    await (isLogin ? logInAsTold(gateway, turn) : turn());
    await gateway.stop();
  } finally {
    await gateway.kill();
  }
}

async function play(url: string): Promise<void> {
  const client = new Client({ name: "conformance-client", version: "1.0.0" }, {
    capabilities: { sampling: {}, roots: {}, elicitation: { form: { applyDefaults: true } } },
    versionNegotiation: { mode: version === "2026-07-28" ? { pin: version } : "legacy" },
  });
  // Accepting with nothing leaves the defaults to the client.
  client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: {} }));
  client.setRequestHandler("roots/list", () => ({ roots: [] }));
  client.setRequestHandler("sampling/createMessage", () => ({
    role: "assistant",
    content: { type: "text", text: "An answer" },
    model: "none",
  }));
  const session = client.connect(new StreamableHTTPClientTransport(new URL(url)))
    .then(() => scenario!(client, context));
  try {
    await within(session, `the scenario "${name}"`, DEADLINE);
  } finally {
    await client.close();
  }
}
