import type { Client } from "@modelcontextprotocol/client";

/** What the referee tells a client beside the server's URL. */
export interface Context {
  readonly toolCalls?: readonly {
    readonly name: string;
    readonly arguments: Record<string, unknown>;
  }[];
}

/** What a connected client does to show what a scenario is about. */
export type Scenario = (client: Client, context: Context) => Promise<void>;

/** The client scenarios by the referee's names; those about authorization do the same, `auth`. */
export const SCENARIOS: ReadonlyMap<string, Scenario> = new Map<string, Scenario>([
  ["auth", async (client) => {
    await client.listTools();
    const { isError, content } = await client.callTool({ name: "test-tool", arguments: {} });
    if (isError) throw new Error(JSON.stringify(content));
  }],
  ["initialize", async (client) => void await client.listTools()],
  ["request-metadata", async (client) => void await client.listTools()],
  ["json-schema-ref-no-deref", async (client) => void await client.listTools()],
  ["tools_call", async (client) => {
    await client.listTools();
    await client.callTool({ name: "add_numbers", arguments: { a: 5, b: 3 } });
  }],
  ["elicitation-sep1034-client-defaults", async (client) => {
    await client.listTools();
    await client.callTool({ name: "test_client_elicitation_defaults", arguments: {} });
  }],
  ["sse-retry", async (client) => {
    await client.listTools();
    await client.callTool({ name: "test_reconnection", arguments: {} });
  }],
  ["sep-2322-client-request-state", async (client) => {
    await client.listTools();
    const call = (name: string) => client.callTool({ name, arguments: {} });
    await Promise.all([call("test_mrtr_echo_state"), call("test_mrtr_unrelated")]);
    await call("test_mrtr_no_state");
    // The SDK may refuse a modern result without a type; it must only not take it for a question.
    await call("test_mrtr_no_result_type").catch(() => {});
  }],
  ["http-standard-headers", async (client) => {
    for (const { name } of (await client.listTools()).tools) await client.callTool({ name });
    for (const { uri } of (await client.listResources()).resources) {
      await client.readResource({ uri });
    }
    for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
  }],
  ["http-custom-headers", async (client, { toolCalls }) => {
    await client.listTools();
    if (toolCalls === undefined) throw new Error("Cannot call tools: the referee named none");
    for (const call of toolCalls) await client.callTool(call);
  }],
  ["http-invalid-tool-headers", async (client) => {
    const { tools } = await client.listTools();
    for (const { name } of tools) await client.callTool({ name, arguments: { region: "here" } });
  }],
  ["json-schema-2020-12-preservation", async (client) => {
    const { tools } = await client.listTools();
    const schema = tools.find(({ name }) => name === "json_schema_2020_12_tool")?.inputSchema;
    await client.callTool({ name: "json_schema_echo", arguments: { schema } });
  }],
]);
