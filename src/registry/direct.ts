import type { KindShape, ServerShape } from "../config/types.ts";
import { editJson } from "../lib/json-edit.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Era } from "../protocol/eras.ts";
import type { ListKind } from "../protocol/lists.ts";
import type { TaskRoute } from "../protocol/tasks.ts";
import { mergedCapabilities, readCapabilities } from "./capabilities.ts";
import { admits, compileFilter } from "./filter.ts";
import { ListText, mergeHints, type Page, pageOf } from "./lists.ts";
import { mayComplete, mayRead, type ShownServer, shownServer } from "./shown.ts";
import { eraEdits, isOutputWrapped, memoised, uniqueItems } from "./source.ts";
import type {
  Capabilities,
  Counts,
  NamedKind,
  ResourceRoute,
  Route,
  ServerEntry,
  View,
} from "./types.ts";

/**
 * The view of one server as it is: names, URIs and texts untouched (an entry that it lists twice
 * is there once). Everything resolves to the server, listed or not, so that what it hides still
 * works and what is unknown gets the server's own answer. Only what the configuration does not
 * include, or excludes, is not there: that is policy, and everything else of a shape is presentation.
 */
export class DirectView implements View {
  readonly id: string;
  readonly instructions: string | undefined;
  readonly serverInfo: string;
  readonly counts: Counts;
  readonly #entry: ServerEntry;
  readonly #shown: ShownServer;
  readonly labelsTasks = false;
  readonly #lists: Readonly<Record<ListKind, ListText>>;
  /** Of the four lists only the tools differ between the eras. */
  readonly #eraTools: Readonly<Record<Era, ListText>>;
  readonly #advertised = new Map<Era, JsonObject>();
  #capabilities: Capabilities | undefined;

  private constructor(entry: ServerEntry, previous: DirectView | undefined) {
    this.#entry = entry;
    this.#shown = shownServer({ ...entry, shape: policyOf(entry.shape) });
    const { lists } = this.#shown.inventory;
    this.id = entry.name;
    this.instructions = entry.inventory.instructions;
    this.serverInfo = entry.inventory.serverInfo;
    const list = (kind: ListKind): ListText => {
      const { items } = uniqueItems(lists[kind]);
      const hints = mergeHints([lists[kind]]);
      const text = new ListText(kind, items.map((item) => item.raw), hints);
      const before = previous?.list(kind);
      return before?.equals(text) ? before : text;
    };
    this.#lists = {
      tools: list("tools"),
      prompts: list("prompts"),
      resources: list("resources"),
      templates: list("templates"),
    };
    this.#eraTools = {
      legacy: this.#toolsFor("legacy", previous),
      modern: this.#toolsFor("modern", previous),
    };
    this.counts = Object.freeze({
      tools: this.#lists.tools.count,
      prompts: this.#lists.prompts.count,
      resources: this.#lists.resources.count,
      templates: this.#lists.templates.count,
    });
    Object.freeze(this);
  }

  /** Builds the view; `previous` itself where inventory and shape are the same objects. */
  static build(entry: ServerEntry, previous?: DirectView): DirectView {
    return previous?.id === entry.name && previous.#entry.inventory === entry.inventory &&
        previous.#entry.shape === entry.shape
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
    const filter = this.#shown.shape?.[kind === "tool" ? "tools" : "prompts"];
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

  list(kind: ListKind, era?: Era): ListText {
    return era !== undefined && kind === "tools" ? this.#eraTools[era] : this.#lists[kind];
  }

  page(kind: ListKind, era: Era, cursor: unknown, size: number): Page | undefined {
    return pageOf(this.list(kind, era), this.id, cursor, size);
  }

  wrapsOutput(_server: string, tool: string): boolean {
    return isOutputWrapped(this.#entry.inventory, tool);
  }

  task(id: string): TaskRoute {
    return { server: this.id, taskId: id };
  }

  capabilities(): Capabilities {
    return this.#capabilities ??= readCapabilities([this.#entry]);
  }

  /**
   * Exactly what the server declares, lists with `listChanged`. Of a server that has not answered
   * yet nothing is known, and all lists are advertised: they will be announced when they are there.
   */
  capabilitiesFor(era: Era): JsonObject {
    let advertised = this.#advertised.get(era);
    if (advertised === undefined) {
      const facts = this.capabilities();
      const policy = facts.declared.size === 0 ? "always" : "declared";
      advertised = mergedCapabilities(facts, era, policy);
      this.#advertised.set(era, advertised);
    }
    return advertised;
  }

  ownerOfExtension(): string {
    return this.id;
  }

  declares(capability: string): boolean {
    return this.capabilities().declared.has(capability);
  }

  serversWith(capability: string): readonly string[] {
    return this.declares(capability) ? [this.id] : [];
  }

  #named(kind: NamedKind, name: string): Route | undefined {
    return this.allows(this.id, kind, name) ? { server: this.id, name, exposed: name } : undefined;
  }

  #toolsFor(era: Era, previous: DirectView | undefined): ListText {
    const { lists: { tools }, era: own } = this.#shown.inventory;
    const before = previous === undefined ? undefined : previous.#eraTools[era];
    const differing = eraEdits("tools", tools, own, era);
    if (differing.size === 0) return this.#lists.tools;
    const texts = uniqueItems(tools).items.map(({ key, raw }) =>
      editJson(raw, differing.get(key) ?? [])
    );
    const text = new ListText("tools", texts, mergeHints([tools]));
    return before?.equals(text) ? before : text;
  }
}

const policies = new WeakMap<ServerShape, ServerShape>();

/** What of a shape binds whoever speaks to the server itself. */
function policyOf(shape: ServerShape | undefined): ServerShape | undefined {
  if (shape === undefined) return undefined;
  const filter = (kind: KindShape | undefined): KindShape | undefined =>
    kind?.include === undefined && kind?.exclude === undefined ? undefined : {
      ...(kind.include === undefined ? {} : { include: kind.include }),
      ...(kind.exclude === undefined ? {} : { exclude: kind.exclude }),
    };
  return memoised(policies, shape, () => {
    const [tools, prompts, resources] = [shape.tools, shape.prompts, shape.resources].map(filter);
    return {
      ...(tools === undefined ? {} : { tools }),
      ...(prompts === undefined ? {} : { prompts }),
      ...(resources === undefined ? {} : { resources }),
    };
  });
}
