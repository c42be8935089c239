/** The tables of options in the documentation, from the JSON schema. */

import { variableOf } from "../src/config/settings.ts";

/** The part of a JSON schema the tables are made from. */
export interface OptionSchema {
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  /** Ours: a key of another client, which is not documented as an option. */
  readonly clientKey?: boolean;
  readonly properties?: Readonly<Record<string, OptionSchema>>;
  readonly anyOf?: readonly OptionSchema[];
  readonly items?: OptionSchema;
  readonly additionalProperties?: OptionSchema | boolean;
}

/** Sections of the root, which the page explains in words. */
const SECTIONS: readonly string[] = [
  "$schema",
  "mcpServers",
  "servers",
  "context_servers",
  "inputs",
  "proxy",
  "features",
];

/** Another thing than the setting of this name: how the gateway is known to the server. */
const NOT_INHERITED = "auth";

/** Replaces what stands between the marks `<!-- options:NAME -->` and `<!-- options:end -->`. */
export function fillTables(page: string, schema: OptionSchema): string {
  const settings = Object.entries(schema.properties ?? {})
    .filter(([name]) => !SECTIONS.includes(name));
  const section = schema.properties?.["mcpServers"]?.additionalProperties;
  const server = typeof section === "object" ? Object.entries(section.properties ?? {}) : [];
  const own = server.filter(([, option]) => option.clientKey !== true);
  const auth = schema.properties?.["auth"];
  const names = new Set(settings.map(([name]) => name));
  const tables: Readonly<Record<string, string>> = {
    settings: table(
      ["Setting", "Default", "Example", "Variable", "Meaning"],
      settings.map(([name, option]) => [
        code(name),
        standard(option),
        example(option),
        code(variableOf(name)),
        option.description ?? "",
      ]),
    ),
    server: table(
      ["Option", "Default", "Example", "Meaning"],
      own.map(([name, option]) => [
        code(name),
        names.has(name) && !("default" in option) && name !== NOT_INHERITED
          ? "the setting"
          : standard(option),
        example(option),
        (option.description ?? "").replace(" By default as for all servers.", ""),
      ]),
    ),
    gating: members(schema.properties?.["gating"]),
    embeddings: members(schema.properties?.["embeddings"]),
    ...Object.fromEntries(["history", "otel", "dashboard", "alerts"].map((name) => [
      name,
      members(schema.properties?.[name]),
    ])),
    auth: members(auth),
    issuers: members(auth?.properties?.["issuers"]?.items),
    proxy: members(auth?.properties?.["proxy"]),
    clients: table(
      ["Key", "Meaning"],
      server.filter(([, option]) => option.clientKey === true)
        .map(([name, option]) => [code(name), option.description ?? ""]),
    ),
  };
  return page.replaceAll(
    /(<!-- options:(\w+) -->\n)[\s\S]*?(<!-- options:end -->)/g,
    (_, start: string, name: string, end: string) => `${start}\n${tables[name] ?? ""}\n${end}`,
  );
}

/** The table of an object's members, the object being one of several forms or the only one. */
function members(option: OptionSchema | undefined): string {
  const object = [option, ...option?.anyOf ?? []].find((form) => form?.properties !== undefined);
  return table(
    ["Key", "Default", "Example", "Meaning"],
    Object.entries(object?.properties ?? {}).map(([name, member]) => [
      code(name),
      standard(member),
      example(member),
      member.description ?? "",
    ]),
  );
}

function standard(option: OptionSchema): string {
  return option.default === undefined ? "" : code(JSON.stringify(option.default));
}

function example({ enum: choices, examples = [] }: OptionSchema): string {
  if (choices !== undefined) {
    return choices.map((choice) => code(JSON.stringify(choice))).join(", ");
  }
  return examples.length === 0 ? "" : code(JSON.stringify(examples[0]));
}

function code(text: string): string {
  return `\`${text.replaceAll("|", "\\|")}\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  return line(head) + line(head.map(() => "---")) + rows.map(line).join("");
}
