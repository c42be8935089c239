import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { formatIssue } from "../../src/config/issue.ts";
import { parseConfig } from "../../src/config/load.ts";
import { loadPatterns } from "../../src/config/schema-results.ts";
import { loadOptions } from "../../src/config/schema.ts";

const DOCS = new URL("../../docs/", import.meta.url);

interface Example {
  /** Page and line, as editors jump to it. */
  readonly place: string;
  readonly text: string;
}

/** The configurations a page shows. */
function examplesIn(page: string): readonly Example[] {
  const content = readFileSync(new URL(page, DOCS), "utf8");
  const blocks = content.matchAll(/^```(?:jsonc?|json5)\n(?<text>.*?)^```$/gms);
  return [...blocks]
    .map(({ groups, index }) => ({
      place: `docs/${page}:${content.slice(0, index).split("\n").length + 1}`,
      text: groups!["text"]!,
    }))
    .filter(({ text }) => text.includes('"mcpServers"'));
}

/** Values for all that an example expects of the environment. */
function environmentOf(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => [name, "value"]));
}

const pages = readdirSync(DOCS, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".md")).sort();
const examples = pages.flatMap(examplesIn);

for (const { place, text } of examples) {
  test(`parseConfig() accepts the example at ${place}, without a warning`, async () => {
    await loadPatterns();
    await loadOptions(text);
    const result = parseConfig(text, { file: place, env: environmentOf(text) });
    const issues = result.ok
      ? [
        ...result.warnings,
        ...[...result.config.servers.values()].flatMap(({ problem }) => problem ?? []),
      ]
      : result.issues;
    assert.deepEqual(issues.map(formatIssue), []);
  });
}

test("parseConfig() examples are found in the pages", () => {
  const shown = Map.groupBy(examples, ({ place }) => place.split(":")[0]);
  assert.ok(shown.get("docs/shaping.md")!.length >= 5, `found ${[...shown.keys()]}`);
  for (const page of ["docs/configuration.md", "docs/middleware.md"]) assert.ok(shown.has(page));
});
