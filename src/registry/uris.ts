/** The resources and resource templates of the aggregate. */

import { labelUri, splitLabel, uriLabels } from "../protocol/names.ts";
import { bySpecificity, parseUriTemplate, type UriTemplate } from "../protocol/uri-template.ts";
import { type ListPart, ListText, mergeHints, writePart } from "./lists.ts";
import { uiLinks, uniqueItems } from "./source.ts";
import type { Conflict, ResourceRoute, Route, ServerEntry } from "./types.ts";

/** One of the two lists, and its parts for the next build. */
interface UriList {
  readonly list: ListText;
  readonly parts: readonly ListPart[];
}

/** Everything about URIs in the aggregate. Immutable. */
export interface UriTable {
  readonly routing: UriRouting;
  readonly resources: UriList;
  readonly templates: UriList;
  readonly conflicts: readonly Conflict[];
}

/** Builds the table; texts that did not change are shared with `previous`. */
export function buildUriTable(
  servers: readonly ServerEntry[],
  previous: UriTable | undefined,
): UriTable {
  const routing = new UriRouting(servers);
  return Object.freeze({
    routing,
    resources: writeList("resources", servers, routing, previous?.resources),
    templates: writeList("templates", servers, routing, previous?.templates),
    conflicts: [
      ...duplicates("resources", servers, routing),
      ...duplicates("templates", servers, routing),
      ...routing.shared(),
    ],
  });
}

const MEMBER = { resources: "uri", templates: "uriTemplate" } as const;

function writeList(
  kind: keyof typeof MEMBER,
  servers: readonly ServerEntry[],
  routing: UriRouting,
  previous: UriList | undefined,
): UriList {
  const parts = servers.map(({ name, inventory }) =>
    writePart(
      name,
      uniqueItems(inventory.lists[kind]).items,
      ({ key }) => {
        const exposed = routing.exposedKey(kind, name, key);
        return exposed === key ? [] : [{ path: [MEMBER[kind]], value: JSON.stringify(exposed) }];
      },
      previous?.parts,
    )
  );
  const hints = mergeHints(servers.map(({ inventory }) => inventory.lists[kind]));
  const texts = parts.flatMap((part) => part.texts);
  return { parts, list: ListText.of(kind, texts, hints, previous?.list) };
}

function duplicates(
  kind: keyof typeof MEMBER,
  servers: readonly ServerEntry[],
  routing: UriRouting,
): readonly Conflict[] {
  return servers.flatMap(({ name: server, inventory }) =>
    uniqueItems(inventory.lists[kind]).duplicates.map((wanted): Conflict => ({
      kind,
      type: "duplicate",
      wanted,
      parties: [{ server, name: wanted, exposed: routing.exposedKey(kind, server, wanted) }],
    }))
  );
}

/** Templates that match the same URIs, and who lists them. */
interface Family {
  readonly template: UriTemplate;
  readonly owners: Set<string>;
  /** In the order of the servers. */
  readonly listed: { readonly server: string; readonly text: string }[];
}

const NOBODY: ReadonlySet<string> = new Set();

/** Routes URIs of several servers. Immutable. */
export class UriRouting {
  /** Who lists a URI as a resource, or refers to it from a tool. */
  readonly #owners: ReadonlyMap<string, ReadonlySet<string>>;
  /** The most specific first; equals in the order of the servers. */
  readonly #families: readonly Family[];
  readonly #familyOf: ReadonlyMap<string, Family>;
  readonly #labels: ReadonlyMap<string, string>;
  readonly #serverOf: ReadonlyMap<string, string>;

  constructor(servers: readonly ServerEntry[]) {
    this.#owners = ownersOfUris(servers);
    this.#families = familiesOf(servers);
    this.#familyOf = new Map(
      this.#families.flatMap((family) => family.listed.map(({ text }) => [text, family] as const)),
    );
    // Of one server, or where none has resources, no URI can be mistaken, so none needs a label.
    const needless = servers.length < 2 || (this.#owners.size === 0 && this.#families.length === 0);
    this.#labels = uriLabels(needless ? [] : servers.map((entry) => entry.name));
    this.#serverOf = new Map([...this.#labels].map(([server, label]) => [label, server]));
  }

  /** See `View.resource`. */
  find(uri: string): ResourceRoute | undefined {
    const labelled = this.#labelled(uri);
    if (labelled !== undefined) return labelled;
    const [server, other] = this.#claimants(uri);
    return server === undefined || other !== undefined ? undefined : { server, uri };
  }

  /** See `View.template`. */
  findTemplate(text: string): ResourceRoute | undefined {
    const labelled = this.#labelled(text);
    if (labelled !== undefined) return labelled;
    const [listing, other] = this.#familyOf.get(text)?.listed.filter((one) => one.text === text) ??
      [];
    return listing === undefined || other !== undefined
      ? undefined
      : { server: listing.server, uri: text };
  }

  /** See `View.ambiguous`. */
  ambiguous(uri: string): readonly Route[] {
    if (this.#labelled(uri) !== undefined) return [];
    const claims = this.#claimants(uri);
    return claims.size < 2 ? [] : [...claims].map((server) => this.#route(server, uri));
  }

  /** See `View.rewritesUris`. */
  rewrites(server: string): boolean {
    return this.#labels.has(server);
  }

  /** See `View.exposedUri`. */
  expose(server: string, uri: string): string {
    const claims = this.#claimants(uri);
    const clear = this.#labelled(uri) === undefined &&
      (claims.size === 0 || (claims.size === 1 && claims.has(server)));
    return clear ? uri : this.#withLabel(server, uri);
  }

  /** The text under which a template that `server` lists is listed here. */
  exposeTemplate(server: string, text: string): string {
    const shared = (this.#familyOf.get(text)?.owners.size ?? 0) > 1;
    return shared || this.#labelled(text) !== undefined ? this.#withLabel(server, text) : text;
  }

  /** What stands in a list for what `server` has there. */
  exposedKey(kind: keyof typeof MEMBER, server: string, key: string): string {
    return kind === "resources" ? this.expose(server, key) : this.exposeTemplate(server, key);
  }

  /** Every URI and template that more than one server claims. */
  shared(): readonly Conflict[] {
    const exact = [...this.#owners].filter(([, owners]) => owners.size > 1);
    const families = this.#families.filter(({ owners }) => owners.size > 1);
    return [
      ...exact.map(([wanted, owners]): Conflict => ({
        type: "shared",
        kind: "resources",
        wanted,
        parties: [...owners].map((server) => this.#route(server, wanted)),
      })),
      ...families.map(({ listed }): Conflict => ({
        type: "shared",
        kind: "templates",
        wanted: listed[0]!.text,
        parties: listed.map(({ server, text }) => this.#route(server, text)),
      })),
    ];
  }

  /** What a URI says itself: labelled ones belong to their server, whoever lists them. */
  #labelled(uri: string): ResourceRoute | undefined {
    const split = splitLabel(uri);
    if (split === undefined) return undefined;
    const server = this.#serverOf.get(split.label);
    return server === undefined ? undefined : { server, uri: split.uri };
  }

  #claimants(uri: string): ReadonlySet<string> {
    return this.#owners.get(uri) ??
      this.#families.find(({ template }) => template.matches(uri))?.owners ?? NOBODY;
  }

  #withLabel(server: string, uri: string): string {
    const label = this.#labels.get(server);
    return label === undefined ? uri : labelUri(label, uri);
  }

  #route(server: string, uri: string): Route {
    return { server, name: uri, exposed: this.#withLabel(server, uri) };
  }
}

function ownersOfUris(servers: readonly ServerEntry[]): ReadonlyMap<string, ReadonlySet<string>> {
  const owners = new Map<string, Set<string>>();
  const claim = (uri: string, server: string) =>
    owners.getOrInsertComputed(uri, () => new Set()).add(server);
  for (const { name, inventory: { lists } } of servers) {
    for (const { key } of uniqueItems(lists.resources).items) claim(key, name);
    for (const links of uiLinks(lists.tools).values()) {
      for (const { uri } of links) claim(uri, name);
    }
  }
  return owners;
}

function familiesOf(servers: readonly ServerEntry[]): readonly Family[] {
  const families = new Map<string, Family>();
  for (const { name, inventory } of servers) {
    for (const { key } of uniqueItems(inventory.lists.templates).items) {
      const template = parseUriTemplate(key);
      const empty = { template, owners: new Set<string>(), listed: [] };
      const family = families.getOrInsert(template.shape, empty);
      family.owners.add(name);
      family.listed.push({ server: name, text: key });
    }
  }
  return [...families.values()].sort((a, b) => bySpecificity(a.template, b.template));
}
