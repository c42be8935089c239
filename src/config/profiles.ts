/** The `profiles` and `tags` at the top of the file. */

import * as v from "valibot";
import { parseGlob } from "../lib/glob.ts";
import { sanitizeName } from "../lib/text.ts";
import { quote, withoutUndefined } from "./issue.ts";
import { profileGating } from "./schema-gating.ts";
import type { limitsOption } from "./schema-limits.ts";
import {
  about,
  type Checked,
  choice,
  late,
  notArray,
  optional,
  prefix,
  prose,
  separator,
} from "./schema-parts.ts";
import {
  members,
  patterns,
  profileFilter,
  type ServerShape,
  type TagRule,
  tags,
  tagsByPattern,
} from "./schema-shaping.ts";
import type { IssueCollector } from "./validate.ts";

/** It stands in a URL, and may stand in a file name. */
const PROFILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const NAME_HINT = "a profile name: letters, digits and . _ -, starting with a letter or digit";

/** The limits of all and those of a profile; loaded with the others that few have. */
export const limits = late<typeof limitsOption>();

const profile = members(optional({
  servers: patterns("Names of servers, or patterns for them.", ["github", "docs-*"]),
  tags: tags("Tags of servers, or of single tools, prompts and resources.", ["read"]),
  tools: profileFilter("tools"),
  prompts: profileFilter("prompts"),
  resources: profileFilter("resources"),
  risk: choice(
    ["read", "write"],
    "Leaves only tools that say of themselves that they only read, or also write and destroy " +
      "nothing; as the tools' own annotations say, or overrides of them.",
  ),
  instructions: prose("What clients are told before what the servers say.", "Only read."),
  prefix,
  separator,
  gating: profileGating,
  limits,
}));

/**
 * A named view. It has the servers that `servers` or `tags` choose, of the other servers the entries
 * that `tags` choose, and everything where neither is there; less what the filters leave out.
 */
export type ProfileConfig = { readonly name: string } & Checked<typeof profile>;

/** The settings that make profiles. */
export const profileOptions = {
  profiles: v.pipe(
    notArray(
      v.record(
        v.pipe(v.string(), v.regex(PROFILE_NAME, NAME_HINT)),
        profile,
        "an object of profiles",
      ),
    ),
    v.metadata(about(
      "Named views, each at /profiles/NAME/mcp: the servers chosen by name or by tag, all of " +
        "them where neither is said, less what the filters leave out.",
      { reading: { tags: ["read"], instructions: "Nothing here changes anything." } },
    )),
    v.metadata({ default: {} }),
    v.transform((profiles): readonly ProfileConfig[] =>
      Object.entries(profiles).map(([name, checked]) => ({ name, ...withoutUndefined(checked) }))
    ),
  ),
  tags: tagsByPattern(
    "Tags of tools, prompts and resources of all servers, by patterns for their own, new or " +
      "prefixed names and URIs: profiles may choose by them.",
    { "*_get_*": ["read"] },
  ),
};

/** The part of a server that matters here. */
interface Shaped {
  readonly shape?: ServerShape | undefined;
}

/** Reports aliases that are the name or alias of another server. */
export function reportAliases(
  servers: ReadonlyMap<string, Shaped>,
  collector: IssueCollector,
): void {
  const owners = new Map<string, string>();
  // Names first: whoever takes another's name is at fault, wherever it stands.
  for (const [name, { shape }] of servers) {
    if (shape?.alias === undefined) owners.set(sanitizeName(name), name);
  }
  for (const [name, { shape }] of servers) {
    if (shape?.alias === undefined) continue;
    const other = owners.get(shape.alias);
    if (other === undefined) {
      owners.set(shape.alias, name);
      continue;
    }
    collector.error(
      ["mcpServers", name, "alias"],
      `found ${quote(shape.alias)}, which server ${quote(other)} is called in tool names, ` +
        "expected another name",
    );
  }
}

/** Warns of servers and tags that profiles name and nobody has. */
export function warnUnusedChoices(
  { profiles, tags: rules }: {
    readonly profiles: readonly ProfileConfig[];
    readonly tags: readonly TagRule[];
  },
  servers: ReadonlyMap<string, Shaped>,
  collector: IssueCollector,
): void {
  const names = [...servers.keys()];
  const shapes = [...servers.values()].flatMap(({ shape }) => shape ?? []);
  const aliases = shapes.flatMap(({ alias }) => alias ?? []);
  const kinds = shapes.flatMap(({ tools, prompts, resources }) => [tools, prompts, resources]);
  const tagged = [...shapes, ...rules, ...kinds.flatMap((kind) => kind?.tags ?? [])];
  const given = new Set(tagged.flatMap(({ tags }) => tags ?? []));
  for (const { name, servers: chosen = [], tags = [] } of profiles) {
    chosen.forEach((pattern, index) => {
      const glob = parseGlob(pattern);
      if (names.some((server) => glob.matches(server))) return;
      if (aliases.some((alias) => glob.matches(alias))) return;
      const known = names.map(quote).join(", ");
      collector.warn(
        ["profiles", name, "servers", index],
        `${quote(pattern)} is the name of no server, expected one of ${known}`,
      );
    });
    tags.forEach((tag, index) => {
      if (given.has(tag)) return;
      collector.warn(["profiles", name, "tags", index], `nothing has the tag ${quote(tag)}`, {
        remedy: 'give it to servers with "tags", or to tools with "tools": {"tags": …}',
      });
    });
  }
}

/**
 * Reports a name that is the same, once sanitised, as one of those before; `taken` has these by what
 * they become.
 */
export function reportCollision(
  name: string,
  taken: Map<string, string>,
  collector: IssueCollector,
): void {
  const sanitized = sanitizeName(name);
  const other = taken.get(sanitized);
  if (other === undefined) {
    taken.set(sanitized, name);
    return;
  }
  const issueOf = (one: string) => collector.issue(["mcpServers", one], "", { part: "key" });
  const { file, line, column } = issueOf(other);
  const where = file === issueOf(name).file ? "" : ` (${file}:${line}:${column})`;
  collector.error(
    ["mcpServers", name],
    `servers ${quote(other)}${where} and ${quote(name)} both become "${sanitized}" in tool ` +
      "names, expected names that stay different",
    { part: "key", remedy: "rename one of them" },
  );
}
