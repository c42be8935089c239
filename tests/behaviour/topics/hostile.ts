import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HttpClient, send } from "../../support/clients/http.ts";
import { requestText } from "../../support/clients/message.ts";
import { rawHttp, statusOf } from "../../support/clients/raw.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import { type ProcessMode, runProgram, startProgram } from "../../support/program.ts";
import { call, callText } from "../helpers.ts";
import { startOddWorld } from "../odd-world.ts";
import type { Scope } from "../scope.ts";
import type { Suite } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

/** A configuration without servers. */
async function emptyConfig(scope: Scope): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "mcproxy-hostile-"));
  scope.defer(() => rm(directory, { recursive: true }));
  const path = join(directory, "mcp-servers.json");
  await writeFile(path, '{"mcpServers":{}}');
  return path;
}

/** What is safe without anybody having configured it. */
export function hostile({ verifies, verifiesProcess }: Suite): void {
  verifies("safe.host", async ({ world }) => {
    const { gateway: { port } } = await world();
    const ask = async (path: string, host: string) =>
      statusOf(
        await rawHttp(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
      );
    for (const path of ["/mcp", "/sse", "/api/status", "/livez", "/nothing"]) {
      for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example"]) {
        assert.equal(await ask(path, host), 403, `${path} ${host}`);
      }
    }
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, "localhost", `[::1]:${port}`]) {
      assert.equal(await ask("/livez", host), 200, host);
    }
    const body = requestText(1, "ping");
    const post = await rawHttp(
      port,
      [
        "POST /mcp HTTP/1.1",
        "Host: evil.example",
        "Content-Type: application/json",
        `Content-Length: ${body.length}`,
        "Connection: close",
        "",
        body,
      ].join("\r\n"),
    );
    assert.equal(statusOf(post), 403);
    assert.equal(typeof JSON.parse(/\{.*\}/s.exec(post)?.[0] ?? ""), "object");
  });

  verifies("safe.origin", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const ping = requestText(1, "ping");
    for (const origin of ["http://evil.example", "https://localhost.evil.example", "null"]) {
      assert.equal((await client.post(ping, { origin })).status, 403, origin);
      assert.equal((await client.listen({ origin })).status, 403, origin);
    }
    for (const origin of [`http://127.0.0.1:${gateway.port}`, "http://localhost:6274"]) {
      assert.equal((await client.post(ping, { origin })).status, 200, origin);
    }
  });

  verifies("safe.404", async ({ world }) => {
    const { gateway } = await world();
    const paths = [
      "/index.html",
      "/favicon.ico",
      "/mcp//",
      "/mcp/x",
      "/api",
      "/api/servers",
      "/servers",
      "/servers/alpha",
      "/servers/alpha/mcp/x",
      "/servers/%2fmcp/mcp",
      "/servers/toString/mcp",
      "/.well-known/oauth-protected-resource",
      "/.well-known/oauth-protected-resource/mcp",
      "/.well-known/oauth-authorization-server",
      "/.well-known/oauth-authorization-server/mcp",
      "/.well-known/openid-configuration",
      "/mcp/.well-known/openid-configuration",
      "/register",
      "/authorize",
      "/token",
    ];
    for (const path of paths) {
      for (const method of ["GET", "POST"]) {
        const answer = await send(`${gateway.base}${path}`, { method });
        assert.equal(answer.status, 404, `${method} ${path}`);
        assert.match(answer.headers.get("content-type")!, /^application\/json/, path);
        assert.equal(typeof JSON.parse(answer.text), "object", path);
        assert.ok(answer.text.length < 1000);
      }
    }
  });

  verifiesProcess("safe.bind", async ({ mode, world }) => {
    const { gateway } = await world();
    for (const host of ["0.0.0.0", "::"]) {
      const args = ["--log", "--config", gateway.configPath, "--host", host, "--port", "0"];
      const { code, stderr } = await runProgram(mode as ProcessMode, args);
      assert.equal(code, 2);
      assert.ok(stderr.includes(host), stderr);
      assert.match(stderr, /--no-auth/);
    }
  });

  verifiesProcess("safe.no-auth", async ({ mode, scope }) => {
    const args = [
      "--log",
      "--config",
      await emptyConfig(scope),
      "--host",
      "0.0.0.0",
      "--port",
      "0",
    ];
    const running = await startProgram(mode as ProcessMode, [...args, "--no-auth"]);
    scope.defer(() => running.kill());
    const line = await running.stdout.waitFor((line) => /http:\/\/[^ ]+:\d+\/mcp/.test(line));
    const port = /:(\d+)\/mcp/.exec(line)?.[1];
    assert.equal((await send(`http://127.0.0.1:${port}/livez`, {})).status, 200);
  });

  verifies("safe.secrets", async ({ start, scope }) => {
    const secrets = ["env-7f3a9c", "header-51be20", "user-c0ffee", "pass-d15ea5e", "broken-90210"];
    const [env, header, user, pass, broken] = secrets as [string, string, string, string, string];
    const web = scope.use(await startHttpFake({ tools: ["echo"] }));
    const refused = await startHttpFake({});
    await refused.close();
    const gateway = await start({
      logLevel: "trace",
      mcpServers: {
        local: stdioUpstream({ tools: ["env", "stderr", "crash"] }, { env: { API_KEY: env } }),
        dead: stdioUpstream({ faults: { crashOnStart: 4 } }, { env: { API_KEY: broken } }),
        web: { url: web.url, headers: { Authorization: `Bearer ${header}` } },
        gone: { url: refused.url.replace("http://", `http://${user}:${pass}@`) },
      },
    } as never);
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
    // The secrets do arrive where they belong.
    assert.equal(JSON.parse(await callText(client, "local_env")).API_KEY, env);
    await callText(client, "web_echo");
    assert.equal(web.requests.items.at(-1)?.headers["authorization"], `Bearer ${header}`);
    await callText(client, "local_stderr", { lines: 1, text: `my key is ${env}!` });
    await gateway.waitForLog(/my key is/);
    await call(client, "local_crash");
    await gateway.waitForServer("local", ({ restarts }) => restarts > 0);
    const status = JSON.stringify(await gateway.status());
    const health = (await send(`${gateway.base}/health`, {})).text;
    for (const text of [status, health, ...gateway.logs.items]) {
      for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} in ${text}`);
    }
  });

  verifies("safe.env", async ({ shared }) => {
    const { gateway } = await shared(startOddWorld);
    const client = await HttpClient.connect(gateway.url);
    const env = JSON.parse(await callText(client, "local_env"));
    assert.equal(env.MINE, "yes");
    assert.equal(typeof env.PATH, "string");
    const safe = [
      ...["MINE", "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TMPDIR", "TZ"],
      ...["LC_ALL", "LC_CTYPE", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"],
      ...["XDG_DATA_HOME", "XDG_STATE_HOME"],
    ];
    const more = Object.keys(env).filter((name) => !safe.includes(name) && !/^LC_|_CF_/.test(name));
    assert.deepEqual(more, []);
  });
}
