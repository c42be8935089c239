/**
 * Writes `schema/mcp-servers.schema.json`, the JSON schema of the configuration file for editors,
 * and the tables of options in `docs/configuration.md`, both from the valibot schema. With `--check`
 * it writes nothing and exits 1 where one of them is stale.
 */

import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { toJsonSchema } from "@valibot/to-json-schema";
import { ConfigFileSchema } from "./schema-file.ts";
import { fillTables, type OptionSchema } from "./options-table.ts";

/** Where the generated schema is kept. */
export const SCHEMA_FILE: URL = new URL("../schema/mcp-servers.schema.json", import.meta.url);

/** The page with the generated tables. */
export const DOCS_FILE: URL = new URL("../docs/configuration.md", import.meta.url);

/** The text of the schema file. */
export function generateSchema(): string {
  // Draft-07 is what the JSON support of VS Code and most other editors understands fully. Checks in
  // code have no counterpart there; what can be said in JSON Schema stands in the metadata.
  const schema = toJsonSchema(ConfigFileSchema, {
    target: "draft-07",
    typeMode: "input",
    ignoreActions: ["check", "raw_check"],
  });
  return `${JSON.stringify(schema, null, 2)}\n`;
}

/** The text of the page, with its tables anew. */
export function generateDocs(page: string): string {
  return fillTables(page, JSON.parse(generateSchema()) as OptionSchema);
}

async function main(args: readonly string[]): Promise<number> {
  const page = await readFile(DOCS_FILE, "utf8");
  const files = [
    { url: SCHEMA_FILE, text: generateSchema(), name: "schema/mcp-servers.schema.json" },
    { url: DOCS_FILE, text: generateDocs(page), name: "docs/configuration.md" },
  ];
  let stale = 0;
  for (const { url, text, name } of files) {
    if (!args.includes("--check")) await writeFile(url, text);
    else if (await readFile(url, "utf8").catch(() => "") !== text) {
      stale++;
      process.stderr.write(`${name} is stale; run "deno run -A scripts/schema.ts"\n`);
    }
  }
  return stale === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
