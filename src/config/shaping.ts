/**
 * What clients see of a server's lists: which entries, under which names, with which texts. Plain
 * data, as the configuration gives it; `src/registry/shape.ts` applies it to the lists.
 */

import { parseGlob } from "../lib/glob.ts";
import type { JsonObject } from "../lib/json.ts";
import type { GatingConfig } from "./gating.ts";

/** Which entries of a list are there: patterns as in `src/lib/glob.ts`. */
export interface Filter {
  /** Only what one of these matches; everything when absent, nothing when empty. */
  readonly include?: readonly string[];
  /** And of that nothing that one of these matches. */
  readonly exclude?: readonly string[];
}

/** What is said differently about the entries a pattern matches; absent members stay as they are. */
export interface Override {
  /** Pattern for the upstream's own names. */
  readonly match: string;
  readonly title?: string;
  readonly description?: string;
  /** Resources only. */
  readonly mimeType?: string;
  /** Each of these members replaces the one of the upstream; the others stay. */
  readonly annotations?: JsonObject;
  /** Tools only: parameters no client sees, and none may send. */
  readonly hideParameters?: readonly string[];
  /** Tools only: arguments of calls that do not have them; those parameters are not required. */
  readonly defaults?: JsonObject;
  /** Tools only: arguments of every call, whatever it says; no client sees those parameters. */
  readonly fixed?: JsonObject;
}

/** What the overrides say in the annotations of the entry with this name of the upstream's own. */
export function overriddenAnnotations(overrides: readonly Override[], own: string): JsonObject {
  const concerned = overrides.filter(({ annotations, match }) =>
    annotations !== undefined && parseGlob(match).matches(own)
  );
  return Object.assign({}, ...concerned.map(({ annotations }) => annotations));
}

/** The tags of the entries a pattern matches. */
export interface TagRule {
  readonly match: string;
  readonly tags: readonly string[];
}

/** How one kind of things is shown. Resource templates are resources here, matched by template. */
export interface KindShape extends Filter {
  /** New names by the upstream's own ones; no patterns. Tools and prompts only. */
  readonly rename?: Readonly<Record<string, string>>;
  /** All that match apply, in the order of the file; of the same member the last. */
  readonly overrides?: readonly Override[];
  readonly tags?: readonly TagRule[];
}

/** The kinds that have a shape. */
export type ShapedKind = "tools" | "prompts" | "resources";

/** How a server is shown. An absent member changes nothing. */
export interface ServerShape extends Readonly<Partial<Record<ShapedKind, KindShape>>> {
  /** Stands for the server's name in exposed names and headings; what it is stays its name. */
  readonly alias?: string;
  /** What profiles may choose the server by. */
  readonly tags?: readonly string[];
}

/**
 * A named view. It has the servers that `servers` or `tags` choose, of the other servers the entries
 * that `tags` choose, and everything where neither is there; less what the filters leave out.
 */
export interface ProfileConfig {
  readonly name: string;
  /** Patterns for the names of servers. */
  readonly servers?: readonly string[];
  readonly tags?: readonly string[];
  /** Comes before what the servers say. */
  readonly instructions?: string;
  /** In place of what each server has. */
  readonly prefix?: "always" | "conflict" | "never";
  /** In place of what each server has. */
  readonly separator?: string;
  readonly tools?: Filter;
  readonly prompts?: Filter;
  readonly resources?: Filter;
  /** What is different from {@link Settings.gating}. */
  readonly gating?: Partial<GatingConfig>;
}
