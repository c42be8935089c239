/**
 * Writes `schema/mcp-servers.schema.json`, the JSON schema of the configuration file for editors,
 * from the valibot schema. With `--check` it writes nothing and exits 1 where the file is stale.
 */

import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { toJsonSchema } from "@valibot/to-json-schema";
import { ConfigFileSchema } from "../src/config/schema.ts";

/** Where the generated schema is kept. */
export const SCHEMA_FILE: URL = new URL("../schema/mcp-servers.schema.json", import.meta.url);

/** The text of the schema file. */
export function generateSchema(): string {
  // Draft-07 is what the JSON support of VS Code and most other editors understands fully. Checks in
  // code have no counterpart there; what can be said in JSON Schema stands in the metadata.
  const schema = toJsonSchema(ConfigFileSchema, {
    target: "draft-07",
    typeMode: "input",
    ignoreActions: ["check"],
  });
  return `${JSON.stringify(schema, null, 2)}\n`;
}

async function main(args: readonly string[]): Promise<number> {
  const text = generateSchema();
  if (!args.includes("--check")) {
    await writeFile(SCHEMA_FILE, text);
    return 0;
  }
  const current = await readFile(SCHEMA_FILE, "utf8").catch(() => "");
  if (current === text) return 0;
  process.stderr.write(
    'schema/mcp-servers.schema.json is stale; run "deno run -A scripts/schema.ts"\n',
  );
  return 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
