import type { ServerShape } from "../config/types.ts";
import { editJson } from "../lib/json-edit.ts";
import type { Era } from "../protocol/eras.ts";
import type { List, ListKind } from "../protocol/lists.ts";
import type { TaskRoute } from "../protocol/tasks.ts";
import { readCapabilities } from "./capabilities.ts";
import { admits, compileFilter } from "./filter.ts";
import { ListText, mergeHints } from "./lists.ts";
import { mayComplete, mayRead, type ShownServer, shownServer } from "./shape.ts";
import { eraEdits, isOutputWrapped, memoised, uniqueItems } from "./source.ts";
import type { Capabilities, NamedKind, ResourceRoute, Route, ServerEntry, View } from "./types.ts";
import { ListedView } from "./view.ts";

/**
 * The view of one server as it is: names, URIs and texts untouched (an entry that it lists twice
 * is there once). Everything resolves to the server, listed or not, so that what it hides still
 * works and what is unknown gets the server's own answer. Only what the configuration does not
 * include, or excludes, is not there: that is policy, and everything else of a shape is presentation.
 */
export class DirectView extends ListedView implements View {
  readonly instructions: string | undefined;
  readonly serverInfo: string;
  readonly labelsTasks = false;
  readonly #shown: ShownServer;
  #capabilities: Capabilities | undefined;

  private constructor(private readonly entry: ServerEntry, previous: DirectView | undefined) {
    const shown = shownServer({ ...entry, shape: policyOf(entry.shape) });
    const { lists, era: written } = shown.inventory;
    const list = (kind: ListKind): ListText => {
      const texts = uniqueItems(lists[kind]).items.map(({ raw }) => raw);
      return ListText.of(kind, texts, mergeHints([lists[kind]]), previous?.list(kind));
    };
    const own = {
      tools: list("tools"),
      prompts: list("prompts"),
      resources: list("resources"),
      templates: list("templates"),
    };
    // Of the four lists only the tools differ between the eras.
    const listsFor = (era: Era) => {
      const { tools } = lists;
      const differing = eraEdits("tools", tools, written, era);
      if (differing.size === 0) return own;
      const texts = uniqueItems(tools).items.map(({ key, raw }) =>
        editJson(raw, differing.get(key) ?? [])
      );
      const before = previous?.list("tools", era);
      return { ...own, tools: ListText.of("tools", texts, mergeHints([tools]), before) };
    };
    super(entry.name, { own, legacy: listsFor("legacy"), modern: listsFor("modern") }, "declared");
    this.#shown = shown;
    this.instructions = entry.inventory.instructions;
    this.serverInfo = entry.inventory.serverInfo;
    Object.freeze(this);
  }

  /** Builds the view; `previous` itself where inventory and shape are the same objects. */
  static build(entry: ServerEntry, previous?: DirectView): DirectView {
    return previous?.id === entry.name && previous.entry.inventory === entry.inventory &&
        previous.entry.shape === entry.shape && previous.entry.isClosed === entry.isClosed
      ? previous
      : new DirectView(entry, previous);
  }

  tool(name: string): Route | undefined {
    return this.#named("tool", name);
  }

  prompt(name: string): Route | undefined {
    return this.#named("prompt", name);
  }

  resource(uri: string): ResourceRoute | undefined {
    return mayRead(this.#shown, uri) ? { server: this.id, uri } : undefined;
  }

  template(uriTemplate: string): ResourceRoute | undefined {
    return mayComplete(this.#shown, uriTemplate)
      ? { server: this.id, uri: uriTemplate }
      : undefined;
  }

  ambiguous(): readonly Route[] {
    return [];
  }

  names(kind: NamedKind): readonly string[] {
    const list = this.#shown.inventory.lists[kind === "tool" ? "tools" : "prompts"];
    return uniqueItems(list).items.map((item) => item.key);
  }

  allows(server: string, kind: NamedKind | "resource", own: string): boolean {
    if (server !== this.id) return false;
    if (kind === "resource") return mayRead(this.#shown, own);
    const list = kind === "tool" ? "tools" : "prompts";
    if (this.entry.isClosed && !keysOf(this.#shown.inventory.lists[list]).has(own)) {
      return false;
    }
    const filter = this.#shown.shape?.[list];
    return admits(compileFilter(filter), [own]);
  }

  argumentRules(): undefined {
    return undefined;
  }

  rewritesUris(): boolean {
    return false;
  }

  exposedUri(_server: string, uri: string): string {
    return uri;
  }

  wrapsOutput(_server: string, tool: string): boolean {
    return isOutputWrapped(this.entry.inventory, tool);
  }

  task(id: string): TaskRoute {
    return { server: this.id, taskId: id };
  }

  capabilities(): Capabilities {
    return this.#capabilities ??= readCapabilities([this.entry]);
  }

  override ownerOfExtension(): string {
    return this.id;
  }

  #named(kind: NamedKind, name: string): Route | undefined {
    if (!this.allows(this.id, kind, name)) return undefined;
    const list = this.#shown.inventory.lists[kind === "tool" ? "tools" : "prompts"];
    return memoised(routes, list, () => routesTo(this.id, list)).get(name) ??
      { server: this.id, name, exposed: name };
  }
}

const keys = new WeakMap<List, ReadonlySet<string>>();

function keysOf(list: List): ReadonlySet<string> {
  return memoised(keys, list, () => new Set(list.items.map(({ key }) => key)));
}

const routes = new WeakMap<List, ReadonlyMap<string, Route>>();

function routesTo(server: string, { items }: List): ReadonlyMap<string, Route> {
  return new Map(items.map(({ key: name }) => [name, { server, name, exposed: name }]));
}

const policies = new WeakMap<ServerShape, ServerShape>();

/** What of a shape binds whoever speaks to the server itself. */
function policyOf(shape: ServerShape | undefined): ServerShape | undefined {
  if (shape === undefined) return undefined;
  return memoised(policies, shape, () => {
    const filters = (["tools", "prompts", "resources"] as const).flatMap((kind) => {
      const { include, exclude } = shape[kind] ?? {};
      if (include === undefined && exclude === undefined) return [];
      return [[kind, { ...(include && { include }), ...(exclude && { exclude }) }]];
    });
    return Object.fromEntries(filters);
  });
}
