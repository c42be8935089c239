/** The view of all servers as one. */

import type { JsonObject } from "../lib/json.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import type { ListItem, ListKind } from "../protocol/lists.ts";
import { ownerOfTask, type TaskRoute } from "../protocol/tasks.ts";
import type { Era } from "../protocol/versions.ts";
import { mergedCapabilities, ownerOfExtension } from "./advertised.ts";
import { type Capabilities, readCapabilities } from "./capabilities.ts";
import type { ListText } from "./list-text.ts";
import { buildNameTable, type NameTable } from "./name-table.ts";
import { type Page, pageOf } from "./page.ts";
import { uiLinks, wrapsOutput } from "./source.ts";
import type { Conflict, Counts, NamedKind, Route, ServerEntry, View } from "./types.ts";
import { buildUriTable, type UriTable } from "./uri-table.ts";

/** A table and what it was built from: with the same inputs it is the same table. */
interface Section<T> {
  readonly inputs: readonly unknown[];
  readonly table: T;
}

interface Sections {
  readonly uris: Section<UriTable>;
  readonly tools: Section<NameTable>;
  readonly prompts: Section<NameTable>;
}

/** The aggregate's {@link View}, and what the next build can take from it. */
export class AggregateView implements View {
  readonly id = "*";
  readonly serverInfo = undefined;
  readonly instructions: string | undefined;
  readonly counts: Counts;
  /** What the aggregate had to decide. */
  readonly conflicts: readonly Conflict[];
  readonly #servers: readonly ServerEntry[];
  readonly #sections: Sections;
  readonly labelsTasks = true;
  readonly #lists: Readonly<Record<ListKind, ListText>>;
  readonly #eraLists: Readonly<Record<Era, Readonly<Record<ListKind, ListText>>>>;
  readonly #advertised = new Map<Era, JsonObject>();
  #capabilities: Capabilities | undefined;

  private constructor(servers: readonly ServerEntry[], sections: Sections) {
    const { uris: { table: uris }, tools: { table: tools }, prompts: { table: prompts } } =
      sections;
    this.#servers = servers;
    this.#sections = sections;
    this.#lists = {
      tools: tools.list,
      prompts: prompts.list,
      resources: uris.resources.list,
      templates: uris.templates.list,
    };
    const eraLists = (era: Era) => ({
      ...this.#lists,
      tools: tools.eraLists[era],
      prompts: prompts.eraLists[era],
    });
    this.#eraLists = { legacy: eraLists("legacy"), modern: eraLists("modern") };
    this.instructions = joinInstructions(servers);
    this.counts = Object.freeze({
      tools: tools.list.count,
      prompts: prompts.list.count,
      resources: uris.resources.list.count,
      templates: uris.templates.list.count,
    });
    this.conflicts = [...tools.conflicts, ...prompts.conflicts, ...uris.conflicts];
    Object.freeze(this);
  }

  /**
   * Builds the view of these servers, in this order. What was built from the same objects is taken
   * from `previous`; where that is everything, `previous` itself is returned.
   */
  static build(servers: readonly ServerEntry[], previous?: AggregateView): AggregateView {
    if (previous !== undefined && sameEntries(servers, previous.#servers)) return previous;
    const before = previous === undefined ? undefined : previous.#sections;
    const linked = servers.some(({ inventory }) => uiLinks(inventory.lists.tools).size > 0);
    const uris = section(
      servers.flatMap(({ name, inventory: { lists } }) => [
        name,
        lists.resources,
        lists.templates,
        uiLinks(lists.tools),
      ]),
      before?.uris,
      (old) => buildUriTable(servers, old),
    );
    const named = (kind: "tools" | "prompts") =>
      servers.flatMap(({ name, prefix, separator, inventory }) => [
        name,
        prefix,
        separator,
        inventory.lists[kind],
        inventory.era,
      ]);
    const tools = section(
      [...named("tools"), linked ? uris.table : undefined],
      before?.tools,
      (old) => buildNameTable("tools", servers, linkEdits(servers, uris.table), old),
    );
    const prompts = section(
      named("prompts"),
      before?.prompts,
      (old) => buildNameTable("prompts", servers, () => [], old),
    );
    return new AggregateView(servers, { uris, tools, prompts });
  }

  tool(name: string): Route | undefined {
    return this.#sections.tools.table.find(name);
  }

  prompt(name: string): Route | undefined {
    return this.#sections.prompts.table.find(name);
  }

  resource(uri: string) {
    return this.#sections.uris.table.routing.find(uri);
  }

  template(uriTemplate: string) {
    return this.#sections.uris.table.routing.findTemplate(uriTemplate);
  }

  ambiguous(kind: NamedKind | "resource", name: string): readonly Route[] {
    return kind === "resource"
      ? this.#sections.uris.table.routing.ambiguous(name)
      : this.#named(kind).ambiguous(name);
  }

  names(kind: NamedKind): readonly string[] {
    return this.#named(kind).names;
  }

  rewritesUris(server: string): boolean {
    return this.#sections.uris.table.routing.rewrites(server);
  }

  exposedUri(server: string, uri: string): string {
    return this.#sections.uris.table.routing.expose(server, uri);
  }

  list(kind: ListKind, era?: Era): ListText {
    return era === undefined ? this.#lists[kind] : this.#eraLists[era][kind];
  }

  page(kind: ListKind, era: Era, cursor: unknown, size: number): Page | undefined {
    return pageOf(this.list(kind, era), this.id, cursor, size);
  }

  wrapsOutput(server: string, tool: string): boolean {
    const entry = this.#entry(server);
    return entry !== undefined && wrapsOutput(entry.inventory, tool);
  }

  task(id: string): TaskRoute | undefined {
    const route = ownerOfTask(id);
    return route === undefined || this.#entry(route.server) === undefined ? undefined : route;
  }

  capabilities(): Capabilities {
    return this.#capabilities ??= readCapabilities(this.#servers);
  }

  capabilitiesFor(era: Era): JsonObject {
    let advertised = this.#advertised.get(era);
    if (advertised === undefined) {
      advertised = mergedCapabilities(this.capabilities(), era, "always");
      this.#advertised.set(era, advertised);
    }
    return advertised;
  }

  ownerOfExtension(method: string): string | undefined {
    return ownerOfExtension(this.capabilities(), method);
  }

  declares(capability: string): boolean {
    return this.capabilities().declared.has(capability);
  }

  serversWith(capability: string): readonly string[] {
    return this.capabilities().declared.get(capability)?.map(({ server }) => server) ?? [];
  }

  #entry(server: string): ServerEntry | undefined {
    return this.#servers.find(({ name }) => name === server);
  }

  #named(kind: NamedKind): NameTable {
    return kind === "tool" ? this.#sections.tools.table : this.#sections.prompts.table;
  }
}

function section<T>(
  inputs: readonly unknown[],
  before: Section<T> | undefined,
  build: (previous: T | undefined) => T,
): Section<T> {
  const same = before !== undefined && before.inputs.length === inputs.length &&
    inputs.every((input, index) => input === before.inputs[index]);
  return same ? before : { inputs, table: build(before?.table) };
}

function sameEntries(a: readonly ServerEntry[], b: readonly ServerEntry[]): boolean {
  return a.length === b.length && a.every((entry, index) => {
    const other = b[index]!;
    return entry.name === other.name && entry.inventory === other.inventory &&
      entry.prefix === other.prefix && entry.separator === other.separator;
  });
}

/** A tool that refers to a rewritten UI resource must refer to what the list offers. */
function linkEdits(servers: readonly ServerEntry[], uris: UriTable) {
  const links = new Map(servers.map(({ name, inventory }) => [
    name,
    uiLinks(inventory.lists.tools),
  ]));
  return (server: string, item: ListItem): readonly JsonEdit[] =>
    links.get(server)?.get(item.key)?.flatMap(({ path, uri }) => {
      const exposed = uris.routing.expose(server, uri);
      return exposed === uri ? [] : [{ path, value: JSON.stringify(exposed) }];
    }) ?? [];
}

function joinInstructions(servers: readonly ServerEntry[]): string | undefined {
  const parts = servers.flatMap(({ name, inventory: { instructions } }) =>
    instructions === undefined || instructions.trim() === ""
      ? []
      : [`## ${name}\n\n${instructions.trim()}`]
  );
  return parts.length === 0 ? undefined : parts.join("\n\n");
}
