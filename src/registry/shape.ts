/**
 * A server's lists as its configuration shapes them: a pure function of inventory and shape. What is
 * not touched is the same object, and every result is remembered with what it was made from, so that
 * a list that has not changed is never a new one.
 */

import type { KindShape, Override, ServerShape } from "../config/types.ts";
import { type Glob, parseGlob } from "../lib/glob.ts";
import { editJson, type JsonEdit, rawAt } from "../lib/json-edit.ts";
import { isObject } from "../lib/json.ts";
import type { ArgumentRules } from "../protocol/arguments.ts";
import {
  EMPTY_INVENTORY,
  type Inventory,
  type List,
  LIST_RULES,
  type ListItem,
  type ListKind,
} from "../protocol/lists.ts";
import { parseUriTemplate, type UriTemplate } from "../protocol/uri-template.ts";
import {
  admits,
  admitsUri,
  anyMatch,
  type CompiledFilter,
  compileFilter,
  EVERYTHING,
  excludesUri,
  includesUri,
  ownNames,
  parsedUri,
  PatternUse,
  plainUri,
  SHAPE_OF,
  unusedPatterns,
} from "./filter.ts";
import { memoised, uiLinks } from "./source.ts";
import type { ServerEntry, ShapeNotice } from "./types.ts";

/** What {@link shapeInventory} gives. */
export interface ShapedInventory {
  /** The very inventory that was given, where nothing changes. */
  readonly inventory: Inventory;
  /** What becomes of the arguments of calls, by the upstream's own name of the tool. */
  readonly rules: ReadonlyMap<string, ArgumentRules>;
  /** What of the shape does not fit; paths start at the server. None for an unknown inventory. */
  readonly notices: readonly ShapeNotice[];
}

/** One list, and what else the shape says of it. */
interface ShapedList {
  readonly list: List;
  readonly rules: ReadonlyMap<string, ArgumentRules>;
  readonly notices: readonly ShapeNotice[];
  /** Patterns by option that match nothing in this list. */
  readonly unused: Readonly<Record<PatternOption, readonly string[]>>;
}

const PATTERN_OPTIONS = ["include", "exclude", "rename", "override", "tags"] as const;
type PatternOption = typeof PATTERN_OPTIONS[number];

const NO_RULES: ReadonlyMap<string, ArgumentRules> = new Map();
const inventories = new WeakMap<Inventory, WeakMap<ServerShape, ShapedInventory>>();
const lists = new WeakMap<List, WeakMap<KindShape, ShapedList>>();

/** Applies a shape: leaves out, renames and changes entries. */
export function shapeInventory(
  inventory: Inventory,
  shape: ServerShape | undefined,
): ShapedInventory {
  if (
    shape?.tools === undefined && shape?.prompts === undefined && shape?.resources === undefined
  ) {
    return { inventory, rules: NO_RULES, notices: [] };
  }
  const byShape = memoised(inventories, inventory, () => new WeakMap());
  return memoised(byShape, shape, () => {
    const shaped = LIST_RULES.flatMap(({ kind }) => {
      const part = shape[SHAPE_OF[kind]];
      if (part === undefined) return [];
      const byPart = memoised(lists, inventory.lists[kind], () => new WeakMap());
      const result = memoised(byPart, part, () => shapeList(kind, inventory.lists[kind], part));
      return [{ kind, ...result }];
    });
    return {
      inventory: withLists(inventory, shaped),
      rules: shaped.find(({ kind }) => kind === "tools")?.rules ?? NO_RULES,
      notices: inventory === EMPTY_INVENTORY
        ? []
        : [...shaped.flatMap(({ notices }) => notices), ...unusedPatterns(PATTERN_OPTIONS, shaped)],
    };
  });
}

/** The inventory with these lists; itself where they are its own. */
export function withLists(
  inventory: Inventory,
  parts: readonly { readonly kind: ListKind; readonly list: List }[],
): Inventory {
  if (parts.every(({ kind, list }) => list === inventory.lists[kind])) return inventory;
  const lists = Object.fromEntries(parts.map(({ kind, list }) => [kind, list]));
  return { ...inventory, lists: { ...inventory.lists, ...lists } };
}

function shapeList(kind: ListKind, list: List, shape: KindShape): ShapedList {
  const { rename = {}, overrides = [], tags = [], include = [], exclude = [] } = shape;
  const filter = compileFilter(shape);
  const asked = { include: new PatternUse(include), exclude: new PatternUse(exclude) };
  const shown = {
    override: new PatternUse(overrides.map(({ match }) => match)),
    tags: new PatternUse(tags.map(({ match }) => match)),
  };
  const kept = list.items.filter((item) => {
    const names = ownNames(kind, item);
    asked.include.note(names);
    asked.exclude.note(names);
    if (!(SHAPE_OF[kind] === "resources" ? admitsUri : admits)(filter, names)) return false;
    shown.override.note(names);
    shown.tags.note(names);
    return true;
  });
  const { names, taken } = newNames(kept, rename);
  const changes = overrides.map((override) => ({ glob: parseGlob(override.match), override }));
  const rules = new Map<string, ArgumentRules>();
  const notices = taken.map((subject): ShapeNotice => ({
    type: "taken",
    path: [SHAPE_OF[kind], "rename"],
    subject,
    about: rename[subject]!,
  }));
  const items = kept.map((item) => {
    const key = names.get(item.key) ?? item.key;
    const mine = overridesOf(kind, item, changes);
    const edits = [
      ...key === item.key ? [] : [{ path: ["name"], value: JSON.stringify(key) }],
      ...textEdits(mine),
    ];
    if (kind === "tools" && !rules.has(item.key)) {
      const parameters = shapeParameters(item.raw, mine);
      edits.push(...parameters.edits);
      if (parameters.rules !== undefined) rules.set(item.key, parameters.rules);
      const path = ["tools", "override"];
      const about = item.key;
      for (const subject of parameters.missing) {
        notices.push({ type: "missing", path, subject, about });
      }
      for (const subject of parameters.unsatisfied) {
        notices.push({ type: "required", path, subject, about });
      }
    }
    if (edits.length === 0) return item;
    const raw = editJson(item.raw, edits);
    return key === item.key ? { key, raw } : { key, raw, origin: item.key };
  });
  const isSame = items.length === list.items.length &&
    items.every((item, index) => item === list.items[index]);
  const keptKeys = new Set(kept.map(({ key }) => key));
  return {
    list: isSame ? list : { ...list, items },
    rules,
    notices,
    unused: {
      include: asked.include.unused,
      exclude: asked.exclude.unused,
      rename: Object.keys(rename).filter((own) => !keptKeys.has(own)),
      override: shown.override.unused,
      tags: shown.tags.unused,
    },
  };
}

/** The names by the upstream's own ones; a new one that is another's is not given. */
function newNames(
  items: readonly ListItem[],
  rename: Readonly<Record<string, string>>,
): { readonly names: ReadonlyMap<string, string>; readonly taken: readonly string[] } {
  const names = new Map<string, string>();
  const taken: string[] = [];
  for (const { key } of items) names.set(key, Object.hasOwn(rename, key) ? rename[key]! : key);
  for (;;) {
    const owners = Map.groupBy(names.keys(), (own) => names.get(own)!);
    const back = [...names].filter(([own, name]) => own !== name && owners.get(name)!.length > 1);
    if (back.length === 0) return { names, taken };
    // A name that is given back may be wanted by the next one, who has to give it back, too.
    for (const [own] of back) {
      names.set(own, own);
      taken.push(own);
    }
  }
}

function overridesOf(
  kind: ListKind,
  item: ListItem,
  changes: readonly { readonly glob: Glob; readonly override: Override }[],
): readonly Override[] {
  if (changes.length === 0) return [];
  const names = ownNames(kind, item);
  return changes.filter(({ glob }) => anyMatch([glob], names)).map(({ override }) => override);
}

const TEXTS = ["title", "description", "mimeType"] as const;

function textEdits(overrides: readonly Override[]): JsonEdit[] {
  const edits: JsonEdit[] = TEXTS.flatMap((member) => {
    const text = overrides.findLast((override) => override[member] !== undefined)?.[member];
    return text === undefined ? [] : [{ path: [member], value: JSON.stringify(text) }];
  });
  const annotations = new Map(
    overrides.flatMap((override) => Object.entries(override.annotations ?? {})),
  );
  for (const [key, value] of annotations) {
    edits.push({ path: ["annotations", key], value: JSON.stringify(value) });
  }
  return edits;
}

/** The parameters of one tool as they are to be. */
export interface ShapedParameters {
  /** `undefined` where calls go through as they are. */
  readonly rules: ArgumentRules | undefined;
  /** Edits of the tool's text. */
  readonly edits: readonly JsonEdit[];
  /** Parameters that the configuration names and the tool does not have. */
  readonly missing: readonly string[];
  /** Parameters that the tool requires, and that nobody can give any more. */
  readonly unsatisfied: readonly string[];
}

const UNCHANGED: ShapedParameters = { rules: undefined, edits: [], missing: [], unsatisfied: [] };

const PROPERTIES = ["inputSchema", "properties"];
const REQUIRED = ["inputSchema", "required"];

/**
 * Reads the rules from the overrides of one tool, in their order. An override by pattern says
 * nothing about parameters that a tool does not have; one by name does, for not every schema lists
 * all that its tool takes.
 */
export function shapeParameters(raw: string, overrides: readonly Override[]): ShapedParameters {
  const concerned = overrides.filter(({ hideParameters, defaults, fixed }) =>
    hideParameters !== undefined || defaults !== undefined || fixed !== undefined
  );
  if (concerned.length === 0) return UNCHANGED;
  const has = (name: string) => rawAt(raw, [...PROPERTIES, name]) !== undefined;
  const missing = new Set<string>();
  const rules = {
    defaults: new Map<string, string>(),
    fixed: new Map<string, string>(),
    hidden: new Set<string>(),
  };
  for (const { match, hideParameters = [], defaults = {}, fixed = {} } of concerned) {
    const isByName = parseGlob(match).isLiteral;
    const isMeant = (name: string) => {
      const there = has(name);
      if (!there && isByName) missing.add(name);
      return there || isByName;
    };
    for (const name of hideParameters.filter(isMeant)) rules.hidden.add(name);
    for (const [name, value] of Object.entries(defaults)) {
      if (isMeant(name)) rules.defaults.set(name, JSON.stringify(value ?? null));
    }
    for (const [name, value] of Object.entries(fixed)) {
      if (isMeant(name)) rules.fixed.set(name, JSON.stringify(value ?? null));
    }
  }
  if (rules.defaults.size + rules.fixed.size + rules.hidden.size === 0) return UNCHANGED;
  return { rules, missing: [...missing], ...schemaEdits(raw, rules) };
}

function schemaEdits(
  raw: string,
  { defaults, fixed, hidden }: ArgumentRules,
): Pick<ShapedParameters, "edits" | "unsatisfied"> {
  const unseen = new Set([...hidden, ...fixed.keys()]);
  const edits: JsonEdit[] = [];
  for (const name of unseen) {
    const path = [...PROPERTIES, name];
    if (rawAt(raw, path) !== undefined) edits.push({ path, value: undefined });
  }
  for (const [name, value] of defaults) {
    const path = [...PROPERTIES, name];
    // A schema that is no object is `true`, or allows nothing anyway.
    if (unseen.has(name) || !isObject(parsed(raw, path))) continue;
    edits.push({ path: [...path, "default"], value });
  }
  const required = parsed(raw, REQUIRED);
  if (!Array.isArray(required)) return { edits, unsatisfied: [] };
  const isOptional = (name: unknown) =>
    typeof name === "string" && (unseen.has(name) || defaults.has(name));
  const remaining = required.filter((name) => !isOptional(name));
  if (remaining.length < required.length) {
    // Of the older dialects some allow no empty list.
    const value = remaining.length === 0 ? undefined : JSON.stringify(remaining);
    edits.push({ path: REQUIRED, value });
  }
  const unsatisfied = [...hidden].filter((name) =>
    required.includes(name) && !defaults.has(name) && !fixed.has(name)
  );
  return { edits, unsatisfied };
}

function parsed(raw: string, path: readonly string[]): unknown {
  const text = rawAt(raw, path);
  return text === undefined ? undefined : JSON.parse(text);
}

/** A server's entry with the inventory that a view shows of it. */
export interface ShownServer extends ServerEntry {
  /** What it is called in names and headings. */
  readonly label: string;
  /** The inventory as the upstream has it. */
  readonly own: Inventory;
  /** What becomes of the arguments of calls, by the upstream's own name of the tool. */
  readonly rules: ReadonlyMap<string, ArgumentRules>;
  /** What decides about resources, listed or not; all of them must admit one. */
  readonly resourceFilters: readonly CompiledFilter[];
  /** Only what is listed can be read: the view has single entries of the server. */
  readonly isPartial: boolean;
}

/** The server in its shape. */
export function shownServer(entry: ServerEntry): ShownServer {
  const { inventory: own, shape } = entry;
  const { inventory, rules } = shapeInventory(own, shape);
  return {
    ...entry,
    label: shape?.alias ?? entry.name,
    inventory,
    own,
    rules,
    resourceFilters: filters(compileFilter(shape?.resources)),
    isPartial: false,
  };
}

/** Those of the filters that leave something out. */
export function filters(...all: readonly CompiledFilter[]): readonly CompiledFilter[] {
  return all.filter((filter) => filter !== EVERYTHING);
}

const byKey = new WeakMap<List, ReadonlyMap<string, ListItem>>();
const templates = new WeakMap<List, readonly UriTemplate[]>();

/**
 * Whether a view's clients may read `uri` of the server. A resource need not be listed to be read,
 * so filters are asked about the URI itself, and about the one it comes to; one that a shown tool
 * links to, or that a shown template matches, may be read unless it is excluded.
 */
export function mayRead(server: ShownServer, uri: string): boolean {
  const { resourceFilters, isPartial, own, inventory: { lists } } = server;
  if (resourceFilters.length === 0 && !isPartial) return true;
  const listed = itemsByKey(own.lists.resources).get(uri);
  const names = listed === undefined ? [uri] : ownNames("resources", listed);
  if (resourceFilters.some((filter) => excludesUri(filter, names))) return false;
  if (itemsByKey(lists.resources).has(uri)) return true;
  for (const links of uiLinks(lists.tools).values()) {
    if (links.some((link) => link.uri === uri)) return true;
  }
  const shownTemplates = memoised(
    templates,
    lists.templates,
    () => lists.templates.items.map(({ key }) => parseUriTemplate(key)),
  );
  const isMatched = [[uri], [plainUri(uri)], parsedUri(uri)?.slice(0, 2) ?? [uri]].every((forms) =>
    forms.some((one) => shownTemplates.some((template) => template.matches(one)))
  );
  return isMatched || (!isPartial && resourceFilters.every((one) => includesUri(one, names)));
}

/** Whether a view's clients may complete arguments of this URI template of the server. */
export function mayComplete(server: ShownServer, uriTemplate: string): boolean {
  const { resourceFilters, isPartial, own, inventory: { lists } } = server;
  if (resourceFilters.length === 0 && !isPartial) return true;
  if (itemsByKey(own.lists.templates).has(uriTemplate)) {
    return itemsByKey(lists.templates).has(uriTemplate);
  }
  return !isPartial && resourceFilters.every((filter) => admitsUri(filter, [uriTemplate]));
}

function itemsByKey(list: List): ReadonlyMap<string, ListItem> {
  return memoised(byKey, list, () => new Map(list.items.map((item) => [item.key, item])));
}
