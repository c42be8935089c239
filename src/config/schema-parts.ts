/**
 * The kinds of options the schema is made of. The message of each check is the second half of a
 * sentence: "found …, expected <message>".
 */

import * as v from "valibot";
import { didYouMean, suggest } from "../lib/suggest.ts";
import { DURATION_PATTERN, MAX_DURATION_MS, parseDuration } from "../lib/time.ts";

/** What {@link rootUri} accepts, as the second half of a sentence. */
export const ROOT_HINT = 'an absolute path such as "/home/me/project", or a "file://" URI';

/**
 * The URI of an absolute path, a URI as it is, `undefined` for anything else. A relative path is
 * no root: relative to what would depend on who starts the gateway.
 */
export function rootUri(text: string): string | undefined {
  if (text.startsWith("file://")) return URL.canParse(text) ? text : undefined;
  if (/^[A-Za-z]:[\\/]/.test(text)) return `file:///${encodePath(text.replaceAll("\\", "/"))}`;
  return text.startsWith("/") ? `file://${encodePath(text)}` : undefined;
}

function encodePath(path: string): string {
  return encodeURI(path.toWellFormed()).replaceAll("?", "%3F").replaceAll("#", "%23");
}

const DURATION_HINT = 'a duration such as 5000, "5s" or "2m"';

/** Text that is a variable passes in an editor: what it contains shows at start only. */
const DURATION_OR_VARIABLE = String.raw`^(\d+(\.\d+)?(ms|s|m|h)|.*\$\{.*)$`;
/** The pattern of URLs for editors. */
export const URL_OR_VARIABLE = String.raw`^(https?://|.*\$\{)`;

/** What a schema leaves of a file: data that nobody changes any more. */
export type Checked<Schema extends v.GenericSchema> = Frozen<v.InferOutput<Schema>>;

type Frozen<Data> = Data extends readonly (infer Item)[] ? readonly Frozen<Item>[]
  : Data extends object ? { readonly [Key in keyof Data]: Frozen<Data[Key]> }
  : Data;

/** The metadata of an option: what it is for, and examples. */
export function about(description: string, ...examples: readonly unknown[]) {
  return { description, ...(examples.length === 0 ? {} : { examples: [...examples] }) };
}

/** For the metadata of an option whose default is applied later, and may depend on others. */
function defaultOf(standard: unknown): { readonly default?: unknown } {
  return standard === undefined ? {} : { default: standard };
}

/** Entries that need not be there; those in `standards` have a default. */
export function optional<
  const Entries extends v.ObjectEntries,
  const Standards extends { readonly [Key in keyof Entries]?: v.Default<Entries[Key], undefined> },
>(entries: Entries, standards: Standards = {} as Standards) {
  return Object.fromEntries(
    Object.entries(entries).map(([key, schema]) => [key, v.optional(schema, standards[key])]),
  ) as unknown as {
    [Key in keyof Entries]: v.OptionalSchema<
      Entries[Key],
      Key extends keyof Standards ? Standards[Key] : undefined
    >;
  };
}

/** Text that is not empty. */
export function text(description: string, ...examples: readonly string[]) {
  return v.pipe(
    v.string("a string"),
    v.nonEmpty("a string that is not empty"),
    v.metadata(about(description, ...examples)),
  );
}

/** Text that may be empty. */
export function prose(description: string, example: string) {
  return v.pipe(v.string("a string"), v.metadata(about(description, example)));
}

/** Yes or no; `standard` is shown as the default where the schema has none. */
export function flag(description: string, standard?: boolean) {
  return v.pipe(
    v.boolean("true or false"),
    v.metadata({ ...about(description, true, false), ...defaultOf(standard) }),
  );
}

/** A duration of at least `least` milliseconds; its output is milliseconds. */
export function duration(
  least: number,
  description: string,
  ...examples: readonly (string | number)[]
) {
  return v.pipe(
    v.union([
      v.pipe(v.number(), v.metadata({ minimum: least, maximum: MAX_DURATION_MS })),
      v.pipe(v.string(), v.metadata({ pattern: DURATION_OR_VARIABLE })),
    ], DURATION_HINT),
    v.check((value) => (parseDuration(value) ?? -1) >= least, ({ input }) => durationHint(input)),
    v.metadata(
      about(`${description} Milliseconds, or text with a unit: ms, s, m, h.`, ...examples),
    ),
    v.transform((value) => parseDuration(value) ?? least),
  );
}

function durationHint(value: string | number): string {
  if (parseDuration(value) === 0) return `${DURATION_HINT}, more than 0`;
  const isTooLong = typeof value === "number"
    ? value > MAX_DURATION_MS
    : DURATION_PATTERN.test(value.trim());
  return isTooLong ? "a duration of at most 24 days" : DURATION_HINT;
}

/** ` (did you mean "auto"?)` where a value is nearly one of these words, else nothing. */
export function nearestHint(input: unknown, options: readonly string[]): string {
  return typeof input === "string" ? didYouMean(suggest(input, options)) : "";
}

/** One of a few words; an issue names the nearest. */
export function choice<const Options extends readonly string[]>(
  options: Options,
  description: string,
) {
  return v.pipe(
    v.picklist(options, ({ input }) => {
      const list = options.map((option) => `"${option}"`).join(", ");
      return `one of ${list}${nearestHint(input, options)}`;
    }),
    v.metadata(about(description)),
  );
}

/** A list of texts. */
export function texts(description: string, ...examples: readonly (readonly string[])[]) {
  return v.pipe(
    v.array(v.string("a string"), "an array of strings"),
    v.metadata({ ...about(description, ...examples), default: [] }),
  );
}

/** An object of texts. */
export function textMap(description: string, example: Readonly<Record<string, string>>) {
  return v.pipe(
    notArray(v.record(v.string(), v.string("a string"), "an object of strings")),
    v.metadata({ ...about(description, example), default: {} }),
  );
}

/** A schema that leaves it to one of others, chosen by what is there. */
export function chosen<Schema extends v.GenericSchema>(
  schema: Schema,
  choose: (dataset: { value: unknown }) => v.GenericSchema,
): Schema {
  return {
    ...schema,
    "~run": (dataset: v.UnknownDataset, config: v.Config<v.BaseIssue<unknown>>) =>
      choose(dataset)["~run"](dataset, config),
  };
}

/**
 * Stands for a schema that is loaded for those who have the option; until it {@link becomes} that, it
 * accepts nothing but its default.
 */
export function late<Schema extends v.GenericSchema>(standard?: unknown): Schema {
  const schema = v.custom((value) => value === standard, "an option whose schema is loaded");
  return { ...schema } as unknown as Schema;
}

/** Makes the schema of {@link late} what it stands for. */
export function becomes<Schema extends v.GenericSchema>(stand: Schema, schema: Schema): void {
  Object.assign(stand, schema);
}

/** For valibot an array is an object with keys "0", "1", …; in a configuration it is a mistake. */
export function notArray<Schema extends v.GenericSchema>(schema: Schema): Schema {
  return chosen(schema, (dataset) => {
    if (Array.isArray(dataset.value)) dataset.value = null;
    return schema;
  });
}

function isHttpUrl(value: string): boolean {
  return URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}

/** `host:port`, the host possibly an IPv6 address in brackets. */
export function address(description: string, example: string) {
  return v.pipe(
    v.string("a string"),
    v.check((value) => {
      const port = /^(?:[^\s:/[\]]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(value)?.[1];
      return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
    }, `"host:port" such as "${example}"`),
    v.metadata(about(description, example)),
  );
}

/** When names are prefixed. */
export const prefix = choice(
  ["always", "conflict", "never"],
  "When the name of a tool or prompt starts with the name of its server: always, only where two " +
    "servers have the same name to offer, or never.",
);

/** What stands between prefix and name. */
export const separator = v.pipe(
  v.string("a string"),
  v.regex(/^[A-Za-z0-9_-]{1,8}$/, 'one to eight of the characters A-Z a-z 0-9 "_" "-"'),
  v.metadata(about("What stands between the name of the server and that of the tool.", "_", "__")),
);

const rootText = v.pipe(
  v.string("a string"),
  v.check((value) => rootUri(value) !== undefined, ROOT_HINT),
);

/** A list of roots; its output has URIs only. */
export function roots(description: string) {
  return v.pipe(
    v.array(
      v.union([
        v.pipe(rootText, v.transform((text) => ({ uri: rootUri(text) ?? text }))),
        v.pipe(
          notArray(v.strictObject({
            uri: v.pipe(rootText, v.metadata(about("Absolute path or file:// URI.", "/srv/data"))),
            name: v.optional(text("What people call it.", "My project")),
          })),
          v.transform(({ uri, name }) => ({
            uri: rootUri(uri) ?? uri,
            ...(name === undefined ? {} : { name }),
          })),
        ),
      ], `${ROOT_HINT}, or an object with "uri" and "name"`),
      "an array of roots",
    ),
    v.metadata({
      ...about(description, ["/home/me/project"], [{ uri: "/srv/data", name: "Data" }]),
      default: [],
    }),
  );
}

/** A whole number in a range. */
export function count(
  least: number,
  most: number,
  description: string,
  { example, standard, expected = `a whole number from ${least} to ${most}` }: {
    readonly example: number;
    readonly standard?: number;
    readonly expected?: string;
  },
) {
  return v.pipe(
    v.number(expected),
    v.integer(expected),
    v.minValue(least, expected),
    v.maxValue(most, expected),
    v.metadata({ ...about(description, example), ...defaultOf(standard) }),
  );
}

/** An absolute URL of http or https. */
export const httpUrl = v.pipe(
  v.string("a string"),
  v.check(isHttpUrl, 'a URL such as "https://example.com/mcp"'),
);
