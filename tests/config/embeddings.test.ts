import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIssue } from "../../src/config/issue.ts";
import { parseConfig } from "../../src/config/load.ts";
import { collectSecrets } from "../../src/config/secrets.ts";

function parse(embeddings: unknown, env: Readonly<Record<string, string>> = {}) {
  const text = JSON.stringify({ embeddings, mcpServers: { a: { command: "x" } } });
  const result = parseConfig(text, { file: "f.json", env });
  assert.ok(result.ok, JSON.stringify(result));
  return result;
}

test("parseConfig() warns of a key that crosses the network unencrypted", () => {
  const apiKey = "s3cret-key";
  const cases: readonly [string, string | undefined, boolean][] = [
    ["http://10.0.0.7/v1", apiKey, true],
    ["http://ollama.lan:11434/v1", apiKey, true],
    ["http://me:pass@ollama.lan/v1", undefined, true],
    ["http://t0ken@ollama.lan/v1", undefined, true],
    ["http://ollama.lan/v1", undefined, false],
    ["https://ollama.lan/v1", apiKey, false],
    ["http://127.0.0.1:11434/v1", apiKey, false],
    ["http://localhost/v1", apiKey, false],
    ["http://[::1]/v1", apiKey, false],
  ];
  for (const [url, key, warns] of cases) {
    const { warnings } = parse({ url, model: "m", ...(key === undefined ? {} : { apiKey: key }) });
    assert.equal(warnings.length, warns ? 1 : 0, url);
    assert.ok(!warnings.some((one) => formatIssue(one).includes(apiKey)), url);
  }
});

test("parseConfig() warns of it too where a variable says so", () => {
  const text = '{"mcpServers":{"a":{"command":"x"}}}';
  const env = { MCPROXY_EMBEDDINGS: '{"url":"http://h.lan","model":"m","apiKey":"s3cret"}' };
  const result = parseConfig(text, { file: "f.json", env });
  assert.ok(result.ok);
  assert.deepEqual(result.warnings.map(formatIssue), [
    "environment MCPROXY_EMBEDDINGS.url: its key crosses the network unencrypted; " +
    "use https, or an endpoint on this machine",
  ]);
});

test("collectSecrets() has the key of embeddings and what their address carries", () => {
  const { config } = parse({
    url: "https://me:hunter22@h/v1?api_key=qwerty&version=2026",
    model: "text-embedding-3-small",
    apiKey: "${OPENAI_API_KEY}",
  }, { OPENAI_API_KEY: "sk-abcdef" });
  assert.equal(config.settings.embeddings?.apiKey, "sk-abcdef");
  assert.deepEqual([...collectSecrets(config)].sort(), ["hunter22", "qwerty", "sk-abcdef"]);
});

test("collectSecrets() has them where a variable brings them in as JSON", () => {
  const env = { MCPROXY_EMBEDDINGS: '{"url":"http://localhost","model":"m","apiKey":"sk-abcd"}' };
  const result = parseConfig('{"mcpServers":{}}', { file: "f.json", env });
  assert.ok(result.ok);
  assert.deepEqual(collectSecrets(result.config), ["sk-abcd"]);
});
