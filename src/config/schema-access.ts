/** The `access` of the file: who may use which profiles. */

import * as v from "valibot";
import { didYouMean, suggest } from "../lib/suggest.ts";
import { quote } from "./issue.ts";
import type { ProfileConfig } from "./profiles.ts";
import type { AuthConfig } from "./schema-auth.ts";
import { about, type Checked, notArray } from "./schema-parts.ts";
import type { IssueCollector } from "./validate.ts";

const WHO_HINT = 'a name, "key:NAME", "group:GROUP", "scope:SCOPE", or "*" for all who got in';
const GIVEN_HINT = 'the name of a profile, "*" for everything, or a path such as "/metrics"';
const given = v.pipe(v.string(GIVEN_HINT), v.nonEmpty(GIVEN_HINT));

/** The setting about who may do what. */
export const accessOption = v.pipe(
  notArray(
    v.record(
      v.pipe(v.string(), v.regex(/^(?!(?:key|group|scope):$)./, WHO_HINT)),
      v.union(
        [given, v.pipe(v.array(given), v.minLength(1, GIVEN_HINT))],
        `${GIVEN_HINT}; or an array of them`,
      ),
      "an object of what is given, by who may have it",
    ),
  ),
  v.metadata(about(
    "What those may do whom auth lets in, by a name, key:NAME, group:GROUP, scope:SCOPE, or * for " +
      "all of them: profiles, * for everything, paths such as /metrics. All that fit add up; what " +
      "is not given is refused. Without it they may do everything.",
    { "alice@example.com": ["dev", "reading"], "group:admins": "*", "*": "reading" },
  )),
  v.transform((access) =>
    Object.entries(access).map(([who, gives]) => ({ who, gives: [gives].flat() }))
  ),
);

/** What one line gives, profiles, paths or `*`, to one of the names of a principal, or `*`. */
export type AccessRule = Checked<typeof accessOption>[number];

/** Reports what `access` gives and nobody has, and whom it names and nobody is. */
export function checkAccess(
  { access, auth, profiles }: {
    readonly access?: readonly AccessRule[] | undefined;
    readonly auth?: AuthConfig | undefined;
    readonly profiles: readonly ProfileConfig[];
  },
  collector: Pick<IssueCollector, "error" | "warn">,
): void {
  if (auth === undefined && access !== undefined) {
    collector.error(["access"], 'without "auth" nobody can be told from anybody else', {
      part: "key",
      remedy: 'say in "auth" who is let in',
    });
  }
  const names = profiles.map(({ name }) => name);
  const keys = auth?.keys?.map(({ name }) => `key:${name}`) ?? [];
  for (const { who, gives } of access ?? []) {
    for (const what of gives) {
      if (what === "*" || what.startsWith("/") || names.includes(what)) continue;
      const hint = didYouMean(suggest(what, names));
      collector.error(["access", who], `found ${quote(what)}, expected ${GIVEN_HINT}${hint}`);
    }
    if (auth === undefined || !who.startsWith("key:") || keys.includes(who)) continue;
    const hint = didYouMean(suggest(who, keys));
    collector.warn(["access", who], `"auth" has no key of this name${hint}`, { part: "key" });
  }
}
