/** A view of several servers as one: of all of them, or of those of a profile. */

import type { JsonEdit } from "../lib/json-edit.ts";
import type { ArgumentRules } from "../protocol/arguments.ts";
import type { Era } from "../protocol/eras.ts";
import type { ListItem } from "../protocol/lists.ts";
import { ownerOfTask, type TaskRoute } from "../protocol/tasks.ts";
import { readCapabilities } from "./capabilities.ts";
import { buildNameTable, type NameTable } from "./names.ts";
import { mayComplete, mayRead, type ShownServer } from "./shape.ts";
import { isOutputWrapped, uiLinks } from "./source.ts";
import type { Capabilities, Conflict, NamedKind, ResourceRoute, Route, View } from "./types.ts";
import { buildUriTable, type UriTable } from "./uris.ts";
import { ListedView } from "./view.ts";

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

/** What {@link AggregateView.build} builds from. */
export interface AggregateInput {
  /** {@link View.id} */
  readonly id: string;
  /** Instructions before those of the servers. */
  readonly preface?: string | undefined;
  /** In the order of the lists. */
  readonly servers: readonly ShownServer[];
  /** How names begin that mean a server, by configured server. */
  readonly prefixes: ReadonlyMap<string, string>;
}

/** The {@link View}, and what the next build can take from it. */
export class AggregateView extends ListedView implements View {
  readonly serverInfo = undefined;
  readonly instructions: string | undefined;
  /** What the aggregate had to decide. */
  readonly conflicts: readonly Conflict[];
  /** Of the few servers that have any. */
  readonly #rules: ReadonlyMap<string, ReadonlyMap<string, ArgumentRules>>;
  readonly labelsTasks = true;
  #capabilities: Capabilities | undefined;

  private constructor(private readonly input: AggregateInput, private readonly sections: Sections) {
    const { uris: { table: uris }, tools: { table: tools }, prompts: { table: prompts } } =
      sections;
    const own = {
      tools: tools.list,
      prompts: prompts.list,
      resources: uris.resources.list,
      templates: uris.templates.list,
    };
    const listsFor = (era: Era) => ({
      ...own,
      tools: tools.eraLists[era],
      prompts: prompts.eraLists[era],
    });
    super(input.id, { own, legacy: listsFor("legacy"), modern: listsFor("modern") });
    const { preface, servers } = input;
    this.#rules = new Map(
      servers.flatMap(({ name, rules }) => rules.size === 0 ? [] : [[name, rules] as const]),
    );
    this.instructions = joinInstructions(preface, servers);
    this.conflicts = [...tools.conflicts, ...prompts.conflicts, ...uris.conflicts];
    Object.freeze(this);
  }

  /**
   * Builds the view. What was built from the same objects is taken from `previous`, the same view
   * before, or from `other`, a view of more servers; where `previous` is that view, it is returned.
   */
  static build(
    input: AggregateInput,
    previous?: AggregateView,
    other?: AggregateView,
  ): AggregateView {
    const { servers } = input;
    if (previous !== undefined && previous.#isOf(input)) return previous;
    const before = [previous, other].flatMap((view) => view === undefined ? [] : [view.sections]);
    const linked = servers.some(({ inventory }) => uiLinks(inventory.lists.tools).size > 0);
    const uris = section(
      servers.flatMap(({ name, inventory: { lists } }) => [
        name,
        lists.resources,
        lists.templates,
        uiLinks(lists.tools),
      ]),
      before.map(({ uris }) => uris),
      (old) => buildUriTable(servers, old),
    );
    const named = (kind: "tools" | "prompts") =>
      servers.flatMap(({ name, label, prefix, separator, inventory }) => [
        name,
        label,
        prefix,
        separator,
        inventory.lists[kind],
        inventory.era,
      ]);
    const tools = section(
      [...named("tools"), linked ? uris.table : undefined],
      before.map(({ tools }) => tools),
      (old) => buildNameTable("tools", servers, linkEdits(servers, uris.table), old),
    );
    const prompts = section(
      named("prompts"),
      before.map(({ prompts }) => prompts),
      (old) => buildNameTable("prompts", servers, () => [], old),
    );
    return new AggregateView(input, { uris, tools, prompts });
  }

  tool(name: string): Route | undefined {
    return this.#found("tool", name);
  }

  prompt(name: string): Route | undefined {
    return this.#found("prompt", name);
  }

  resource(uri: string): ResourceRoute | undefined {
    const route = this.sections.uris.table.routing.find(uri);
    return route === undefined || !this.allows(route.server, "resource", route.uri)
      ? undefined
      : route;
  }

  template(uriTemplate: string): ResourceRoute | undefined {
    const route = this.sections.uris.table.routing.findTemplate(uriTemplate);
    const shown = route === undefined ? undefined : this.#server(route.server);
    return shown !== undefined && mayComplete(shown, route!.uri) ? route : undefined;
  }

  ambiguous(kind: NamedKind | "resource", name: string): readonly Route[] {
    return kind === "resource"
      ? this.sections.uris.table.routing.ambiguous(name)
      : this.#named(kind).ambiguous(name);
  }

  names(kind: NamedKind): readonly string[] {
    return this.#named(kind).names;
  }

  allows(server: string, kind: NamedKind | "resource", own: string): boolean {
    if (kind !== "resource") return this.#named(kind).has(server, own);
    const shown = this.#server(server);
    return shown !== undefined && mayRead(shown, own);
  }

  argumentRules(server: string, tool: string): ArgumentRules | undefined {
    return this.#rules.get(server)?.get(tool);
  }

  rewritesUris(server: string): boolean {
    return this.sections.uris.table.routing.rewrites(server);
  }

  exposedUri(server: string, uri: string): string {
    return this.sections.uris.table.routing.expose(server, uri);
  }

  wrapsOutput(server: string, tool: string): boolean {
    const shown = this.#server(server);
    return shown !== undefined && isOutputWrapped(shown.own, tool);
  }

  task(id: string): TaskRoute | undefined {
    const route = ownerOfTask(id);
    return route === undefined || this.#server(route.server) === undefined ? undefined : route;
  }

  capabilities(): Capabilities {
    return this.#capabilities ??= readCapabilities(this.input.servers);
  }

  #server(server: string): ShownServer | undefined {
    return this.input.servers.find(({ name }) => name === server);
  }

  /** A name that begins as those of another server is that server's, there or not. */
  #found(kind: NamedKind, name: string): Route | undefined {
    const route = this.#named(kind).find(name);
    if (route === undefined || route.exposed === name) return route;
    for (const [server, prefix] of this.input.prefixes) {
      if (server !== route.server && name.startsWith(prefix)) return undefined;
    }
    return route;
  }

  #isOf({ id, preface, servers, prefixes }: AggregateInput): boolean {
    return this.id === id && this.input.preface === preface &&
      servers.length === this.input.servers.length &&
      prefixes.size === this.input.prefixes.size &&
      prefixes.entries().every(([server, prefix]) => this.input.prefixes.get(server) === prefix) &&
      servers.every((server, index) => sameServer(server, this.input.servers[index]!));
  }

  #named(kind: NamedKind): NameTable {
    return kind === "tool" ? this.sections.tools.table : this.sections.prompts.table;
  }
}

/** Takes over what was built from the same inputs; else builds with the help of the first. */
function section<T>(
  inputs: readonly unknown[],
  before: readonly Section<T>[],
  build: (previous: T | undefined) => T,
): Section<T> {
  const same = before.find((known) =>
    known.inputs.length === inputs.length &&
    inputs.every((input, index) => input === known.inputs[index])
  );
  return same ?? { inputs, table: build(before[0]?.table) };
}

/** Whether a view has no use for the difference; a server that is stale is shown all the same. */
function sameServer(one: ShownServer, other: ShownServer): boolean {
  return one.name === other.name && one.inventory === other.inventory && one.own === other.own &&
    one.label === other.label && one.prefix === other.prefix && one.separator === other.separator &&
    one.rules === other.rules && one.isPartial === other.isPartial &&
    one.resourceFilters.length === other.resourceFilters.length &&
    one.resourceFilters.every((filter, index) => filter === other.resourceFilters[index]);
}

/** A tool that refers to a rewritten UI resource must refer to what the list offers. */
function linkEdits(servers: readonly ShownServer[], uris: UriTable) {
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

function joinInstructions(
  preface: string | undefined,
  servers: readonly ShownServer[],
): string | undefined {
  const parts = servers.flatMap(({ label, inventory: { instructions } }) =>
    isBlank(instructions) ? [] : [`## ${label}\n\n${instructions.trim()}`]
  );
  const all = isBlank(preface) ? parts : [preface.trim(), ...parts];
  return all.length === 0 ? undefined : all.join("\n\n");
}

function isBlank(text: string | undefined): text is undefined {
  return text === undefined || text.trim() === "";
}
