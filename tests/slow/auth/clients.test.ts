/**
 * Clients of the official SDK, who find the way in by themselves: from the 401 to the metadata, from
 * there to a real identity provider, and back with its token.
 */

import {
  Client,
  ClientCredentialsProvider,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import assert from "node:assert/strict";
import { test } from "node:test";
import { House, inScope, keysOf } from "../../front/access/house.ts";
import { CLIENT, IdentityProvider } from "./identity-provider.ts";

const publicUrl = "http://127.0.0.1:12009";

/** What clients fetch by: the gateway in memory, all else over the wire. */
function fetchOf(house: House, seen: string[]) {
  return async (url: string | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(url, init);
    if (!request.url.startsWith(publicUrl)) return await fetch(request);
    request.headers.set("host", "127.0.0.1:12009");
    const response = await house.app.handler(request);
    seen.push(`${response.status} ${request.method} ${new URL(request.url).pathname}`);
    return response;
  };
}

test(
  "a client of the SDK gets in by a token that it finds the way to, and by a key",
  inScope(async (scope) => {
    const provider = await IdentityProvider.start();
    scope.defer(() => provider.stop());
    const house = await House.open(scope, {
      publicUrl,
      auth: {
        keys: keysOf("laptop"),
        issuers: [{ issuer: provider.issuer, scopes: ["mcp:use"] }],
      },
      access: { "scope:mcp:use": "pa", "scope:mcp:write": "pb", "key:laptop": "*" },
    });
    const seen: string[] = [];
    const connect = async (path: string, options: object): Promise<Client> => {
      const client = new Client({ name: "t", version: "1" });
      const url = new URL(`${publicUrl}${path}`);
      await client.connect(
        new StreamableHTTPClientTransport(url, { fetch: fetchOf(house, seen), ...options }),
      );
      scope.defer(() => client.close());
      return client;
    };
    const authProvider = () =>
      new ClientCredentialsProvider({
        clientId: CLIENT.id,
        clientSecret: CLIENT.secret,
        expectedIssuer: provider.issuer,
      });

    const client = await connect("/mcp", { authProvider: authProvider() });
    assert.deepEqual(seen.slice(0, 2), [
      "401 POST /mcp",
      "200 GET /.well-known/oauth-protected-resource/mcp",
    ]);
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map(({ name }) => name), ["a_echo", "a_slow"]);
    const call = () => client.callTool({ name: "a_echo", arguments: {} });
    const answers = await Promise.all(Array.from({ length: 50 }, call));
    assert.ok(answers.every(({ isError }) => isError !== true));
    await assert.rejects(client.callTool({ name: "b_echo", arguments: {} }));

    // One more scope opens another profile: the client asks for it where it is told so.
    const other = await connect("/profiles/pb/mcp", { authProvider: authProvider() });
    assert.ok(seen.includes("403 POST /profiles/pb/mcp"), seen.join("\n"));
    assert.deepEqual((await other.listTools()).tools.map(({ name }) => name), ["b_echo", "b_slow"]);

    const headers = { authorization: "Bearer mcproxy_laptop" };
    const byKey = await connect("/mcp", { requestInit: { headers } });
    assert.equal((await byKey.listTools()).tools.length, 4);
    await assert.rejects(
      connect("/mcp", { requestInit: { headers: { "x-api-key": "mcproxy_no" } } }),
    );
  }),
);
