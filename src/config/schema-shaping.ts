/** The options that shape what clients see of a server, for the schema of the configuration. */

import * as v from "valibot";
import { MAX_ALTERNATIVES, parseGlob } from "../lib/glob.ts";
import { attempt, type JsonObject } from "../lib/json.ts";
import { withoutUndefined } from "./issue.ts";
import { about, chosen, flag, notArray, optional, prose, text } from "./schema-parts.ts";

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

/** Longer patterns are no names any more. */
const LONGEST_PATTERN = 512;

const PATTERN_HINT = `a pattern of at most ${LONGEST_PATTERN} characters and ${MAX_ALTERNATIVES} ` +
  "alternatives";

/** A pattern for names. */
export const pattern = v.pipe(
  v.string("a string"),
  v.nonEmpty("a pattern that is not empty"),
  v.check(isPattern, PATTERN_HINT),
);

function isPattern(value: string): boolean {
  return value.length <= LONGEST_PATTERN && attempt(() => parseGlob(value)) !== undefined;
}

/** A list of patterns. */
export function patterns(description: string, ...examples: readonly (readonly string[])[]) {
  return v.pipe(
    v.array(pattern, "an array of patterns"),
    v.metadata(about(description, ...examples)),
  );
}

const tag = v.pipe(
  v.string("a string"),
  v.regex(/^[\w.:-]{1,64}$/, 'a tag of the characters A-Z a-z 0-9 "_" "-" "." ":"'),
);

/** A list of tags. */
export function tags(description: string, example: readonly string[]) {
  return v.pipe(v.array(tag, "an array of tags"), v.metadata(about(description, example)));
}

/** A name that is exposed as it is. */
const NAME_HINT = 'a name of at most 40 of the characters A-Z a-z 0-9 "_" "-"';
const name = v.pipe(v.string("a string"), v.regex(/^[A-Za-z0-9_-]{1,40}$/, NAME_HINT));

/** An object with these members; the message lists them, for `validate()` to suggest one. */
export function members<const Entries extends v.ObjectEntries>(entries: Entries) {
  const list = Object.keys(entries).map((key) => `"${key}"`).join(", ");
  return notArray(v.strictObject(entries, `an object with ${list}`));
}

/** Which of two schemas counts is plain to see, so issues are about that one. */
function arrayOr<
  const List extends v.GenericSchema<unknown[], unknown>,
  const Members extends v.GenericSchema<object, unknown>,
>(list: List, object: Members) {
  return chosen(v.union([list, object]), ({ value }) => Array.isArray(value) ? list : object);
}

const rename = v.pipe(
  notArray(v.record(v.string(), name, "an object of names")),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const taken = new Map<string, string>();
    for (const [own, wanted] of Object.entries(dataset.value)) {
      const other = taken.get(wanted);
      if (other === undefined) taken.set(wanted, own);
      else {
        addIssue({
          input: wanted,
          message: `a name of its own: "${other}" becomes "${wanted}", too`,
          path: [placeOf(dataset.value, own)],
        });
      }
    }
  }),
  v.metadata({
    ...about("New names by the names the server has.", { search_code: "search" }),
    default: {},
  }),
);

function placeOf(input: Record<string, unknown>, key: string): v.ObjectPathItem {
  return { type: "object", origin: "value", input, key, value: input[key] };
}

/** Tags by pattern; the output keeps their order. */
export function tagsByPattern(description: string, example: Readonly<Record<string, string[]>>) {
  return v.pipe(
    notArray(v.record(pattern, v.array(tag, "an array of tags"), "an object of tags by pattern")),
    v.metadata({ ...about(description, example), default: {} }),
    v.transform((rules): readonly TagRule[] =>
      Object.entries(rules).map(([match, tags]) => ({ match, tags }))
    ),
  );
}

const filters = {
  include: patterns(
    "Patterns with * ? and {a,b}; only what one of them matches is offered. All by default.",
    ["get_*", "list_*"],
  ),
  exclude: v.pipe(
    patterns("Patterns; what one of them matches is not offered.", ["delete_*"]),
    v.metadata({ default: [] }),
  ),
};

const title = text("What people call it.", "Search the code");
const description = prose("What models are told of it.", "Searches all repositories.");

const toolAnnotations = v.pipe(
  members(optional({
    title: text("What people call the tool.", "Search"),
    readOnlyHint: flag("It changes nothing."),
    destructiveHint: flag("It may delete or overwrite."),
    idempotentHint: flag("Calling it again changes nothing more."),
    openWorldHint: flag("It reaches beyond the server's own data."),
  })),
  v.metadata(about("Hints for clients, one by one.", { readOnlyHint: true })),
);

const AUDIENCE = "an array of user and assistant";
const resourceAnnotations = v.pipe(
  members(optional({
    audience: v.pipe(
      v.array(v.picklist(["user", "assistant"], '"user" or "assistant"'), AUDIENCE),
      v.metadata(about("Whom it is for.", ["assistant"])),
    ),
    priority: v.pipe(
      v.number("a number from 0 to 1"),
      v.minValue(0, "a number from 0 to 1"),
      v.maxValue(1, "a number from 0 to 1"),
      v.metadata(about("How important it is, 1 being needed.", 0.5)),
    ),
  })),
  v.metadata(about("Hints for clients, one by one.", { audience: ["assistant"] })),
);

function values(description: string, example: JsonObject) {
  const object = v.record(v.string(), v.any(), "an object of arguments");
  return v.pipe(notArray(object), v.metadata({ ...about(description, example), default: {} }));
}

const toolOverride = v.pipe(
  members(optional({
    title,
    description,
    annotations: toolAnnotations,
    hideParameters: v.pipe(
      v.array(v.string("a string"), "an array of names of parameters"),
      v.metadata({
        ...about("Parameters that clients neither see nor send.", ["debug"]),
        default: [],
      }),
    ),
    defaults: values("Arguments of calls that do not have them.", { limit: 20 }),
    fixed: values("Arguments of every call; clients neither see nor send them.", { owner: "me" }),
  })),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { defaults, fixed } = dataset.value;
    for (const key of Object.keys(defaults ?? {})) {
      if (fixed === undefined || !Object.hasOwn(fixed, key)) continue;
      addIssue({
        input: defaults![key],
        message: `either a default or a fixed value for "${key}", not both`,
        path: [
          placeOf(dataset.value as Record<string, unknown>, "defaults"),
          placeOf(defaults!, key),
        ],
      });
    }
  }),
);

const resourceOverride = members(optional({
  title,
  description,
  mimeType: text("What kind of data it is.", "text/markdown"),
  annotations: resourceAnnotations,
}));

/** What is said differently, by the names or patterns it is about. */
function overrides<const Schema extends v.GenericSchema<object, object>>(
  schema: Schema,
  example: Readonly<Record<string, unknown>>,
) {
  return v.pipe(
    notArray(v.record(pattern, schema, "an object of changes by name or pattern")),
    v.metadata({
      ...about("What is said differently, by the server's own names or patterns.", example),
      default: {},
    }),
  );
}

function entryTags(what: string) {
  return tagsByPattern(`Tags of ${what}, by pattern: profiles may choose by them.`, {
    "get_*": ["read"],
  });
}

/** What the schema leaves of one kind. */
interface CheckedKind {
  readonly include?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
  readonly rename?: Readonly<Record<string, string>> | undefined;
  readonly override?: Readonly<Record<string, object>> | undefined;
  readonly tags?: readonly TagRule[] | undefined;
}

/** Drops what is absent, so that a shape is plain data that can be compared as text. */
function kindShape({ include, exclude, rename, override, tags }: CheckedKind): KindShape {
  const overrides = Object.entries(override ?? {}).map(([match, change]): Override => ({
    match,
    ...change,
  }));
  return withoutUndefined({
    include,
    exclude: filled(exclude),
    rename: filled(rename),
    overrides: filled(overrides),
    tags: filled(tags),
  });
}

/** What has something in it. */
function filled<Data extends object>(data: Data | undefined): Data | undefined {
  return data === undefined || Object.keys(data).length === 0 ? undefined : data;
}

const included = v.pipe(
  v.array(pattern, "an array of patterns, or an object"),
  v.transform((include): CheckedKind => ({ include })),
);

/** Which things of one kind clients see, and how; a list is the same as `include`. */
function kind<const Entries extends v.ObjectEntries>(
  entries: Entries,
  description: string,
  ...examples: readonly unknown[]
) {
  return v.pipe(
    arrayOr(included, members(optional({ ...filters, ...entries }))),
    v.metadata({ ...about(description, ...examples), default: {} }),
    v.transform((checked: CheckedKind) => kindShape(checked)),
  );
}

const tools = kind(
  {
    rename,
    override: overrides(toolOverride, {
      search_code: { description: "Searches all repositories." },
    }),
    tags: entryTags("tools"),
  },
  "Which tools clients see, and how. A list is the same as include.",
  { exclude: ["delete_*"] },
  ["get_*", "list_*"],
);

const prompts = kind(
  {
    rename,
    override: overrides(members(optional({ title, description })), {
      review: { title: "Review a change" },
    }),
    tags: entryTags("prompts"),
  },
  "Which prompts clients see, and how.",
  { include: ["review*"] },
);

const resources = kind(
  {
    override: overrides(resourceOverride, { "docs://*": { mimeType: "text/markdown" } }),
    tags: entryTags("resources"),
  },
  "Which resources and resource templates clients see and read, by URI or name, and how.",
  { include: ["docs://*"] },
);

/** The options of a server that shape it. */
export const shapingOptions = {
  tools,
  prompts,
  resources,
  alias: v.pipe(
    name,
    v.metadata(about("Stands for the server's name in the names of its tools.", "gh")),
  ),
  tags: v.pipe(
    tags("What profiles may choose the server by.", ["work"]),
    v.metadata({ default: [] }),
  ),
};

type CheckedShape = {
  readonly [Key in keyof typeof shapingOptions]?:
    | v.InferOutput<typeof shapingOptions[Key]>
    | undefined;
};

/** The shape of a server, `undefined` where nothing is shaped. */
export function serverShape(checked: CheckedShape): ServerShape | undefined {
  return filled(withoutUndefined({
    tools: filled(checked.tools),
    prompts: filled(checked.prompts),
    resources: filled(checked.resources),
    alias: checked.alias,
    tags: filled(checked.tags),
  }));
}

/** {@link Filter} of a profile. */
export function profileFilter(what: string) {
  return v.pipe(
    arrayOr(included, members(optional(filters))),
    v.metadata({
      ...about(
        `Which ${what} of its servers the profile has, by their own, new or prefixed name.`,
        { exclude: ["*_delete_*"] },
      ),
      default: {},
    }),
    v.transform(({ include, exclude }: CheckedKind) => kindShape({ include, exclude })),
  );
}
