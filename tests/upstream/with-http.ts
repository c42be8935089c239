import type { ServerConfig } from "../../src/config/types.ts";
import type { Upstream } from "../../src/upstream/upstream.ts";
import { type FakeHttp, type Handler, serveHttp } from "./fakes/http-server.ts";
import { httpTarget, type RecordedLog, serverConfig, Watch, withUpstream } from "./support.ts";

/** An upstream that is reached over HTTP, with a header that is a secret; both are closed. */
export async function withHttp(
  handler: Handler,
  run: (upstream: Upstream, server: FakeHttp, log: RecordedLog) => Promise<void> | void,
  overrides: Partial<ServerConfig> = {},
  watch = new Watch(),
  path = "/mcp",
): Promise<void> {
  const server = await serveHttp(handler);
  try {
    const config = serverConfig(
      httpTarget(server.url + path, { headers: { Authorization: "Bearer s3cret", "X-Own": "1" } }),
      overrides,
    );
    await withUpstream(config, async (upstream, log) => await run(upstream, server, log), watch);
  } finally {
    await server.close();
  }
}
