import type { ConfigPath } from "../config/issue.ts";
import type { ProfileConfig } from "../config/shaping.ts";
import { PatternUse } from "../registry/filter.ts";
import { memoised } from "../registry/memo.ts";
import type { ShapeNotice } from "../registry/notices.ts";
import type { View } from "../registry/types.ts";
import type { Gates } from "./gate.ts";

/** A view by the tools it has: they are the same as long as it is the same object. */
const unused = new WeakMap<View, WeakMap<readonly string[], readonly string[]>>();

/**
 * What of `alwaysVisible` matches no tool of the views it is for. Only for snapshots in which every
 * server is known: what is missing may be one's that has not answered yet.
 */
export function pinNotices(
  { aggregate, profiles: gates }: Gates,
  profiles: readonly ProfileConfig[],
): readonly ShapeNotice[] {
  const own = profiles.filter(({ gating }) => gating?.alwaysVisible !== undefined);
  const heirs = profiles.filter((profile) => !own.includes(profile));
  const gateOf = ({ name }: ProfileConfig) => gates.get(name)!;
  return [
    // Names differ between views: a profile may have another prefix, or more of a server.
    ...noticesOf(["gating"], aggregate.config.alwaysVisible, [aggregate, ...heirs.map(gateOf)]),
    ...own.flatMap((profile) => {
      const gate = gateOf(profile);
      return noticesOf(["profiles", profile.name, "gating"], gate.config.alwaysVisible, [gate]);
    }),
  ];
}

function noticesOf(
  base: ConfigPath,
  patterns: readonly string[],
  gates: readonly { readonly full: View }[],
): readonly ShapeNotice[] {
  if (patterns.length === 0) return [];
  const [first = [], ...others] = gates.map(({ full }) => unusedIn(full, patterns));
  return first.filter((pattern) => others.every((list) => list.includes(pattern)))
    .map((subject) => ({ type: "unused", path: [...base, "alwaysVisible"], subject }));
}

function unusedIn(view: View, patterns: readonly string[]): readonly string[] {
  const byPatterns = memoised(unused, view, () => new WeakMap());
  return memoised(byPatterns, patterns, () => {
    const use = new PatternUse(patterns);
    for (const name of view.names("tool")) use.note([name]);
    return use.unused;
  });
}
