import { type ListKind } from "../protocol/lists.ts";
import { type Capabilities, readCapabilities } from "./capabilities.ts";
import { ListText, mergeHints } from "./list-text.ts";
import { uniqueItems } from "./source.ts";
import type { Counts, NamedKind, ResourceRoute, Route, ServerEntry, View } from "./types.ts";

/**
 * The view of one server as it is: names, URIs and texts untouched (an entry that it lists twice
 * is there once). Everything resolves to the server, listed or not, so that what it hides still
 * works and what is unknown gets the server's own answer.
 */
export class DirectView implements View {
  readonly id: string;
  readonly instructions: string | undefined;
  readonly serverInfo: string;
  readonly counts: Counts;
  readonly #entry: ServerEntry;
  readonly #lists: Readonly<Record<ListKind, ListText>>;
  #capabilities: Capabilities | undefined;

  private constructor(entry: ServerEntry, previous: DirectView | undefined) {
    this.#entry = entry;
    this.id = entry.name;
    this.instructions = entry.inventory.instructions;
    this.serverInfo = entry.inventory.serverInfo;
    const list = (kind: ListKind): ListText => {
      const { items } = uniqueItems(entry.inventory.lists[kind]);
      const hints = mergeHints([entry.inventory.lists[kind]]);
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
    this.counts = Object.freeze({
      tools: this.#lists.tools.count,
      prompts: this.#lists.prompts.count,
      resources: this.#lists.resources.count,
      templates: this.#lists.templates.count,
    });
    Object.freeze(this);
  }

  /** Builds the view; `previous` itself where the inventory is the same object. */
  static build(entry: ServerEntry, previous?: DirectView): DirectView {
    return previous?.id === entry.name && previous.#entry.inventory === entry.inventory
      ? previous
      : new DirectView(entry, previous);
  }

  tool(name: string): Route {
    return { server: this.id, name, exposed: name };
  }

  prompt(name: string): Route {
    return { server: this.id, name, exposed: name };
  }

  resource(uri: string): ResourceRoute {
    return { server: this.id, uri };
  }

  template(uriTemplate: string): ResourceRoute {
    return { server: this.id, uri: uriTemplate };
  }

  ambiguous(): readonly Route[] {
    return [];
  }

  names(kind: NamedKind): readonly string[] {
    const list = this.#entry.inventory.lists[kind === "tool" ? "tools" : "prompts"];
    return uniqueItems(list).items.map((item) => item.key);
  }

  rewritesUris(): boolean {
    return false;
  }

  exposedUri(_server: string, uri: string): string {
    return uri;
  }

  list(kind: ListKind): ListText {
    return this.#lists[kind];
  }

  capabilities(): Capabilities {
    return this.#capabilities ??= readCapabilities([this.#entry]);
  }

  declares(capability: string): boolean {
    return this.capabilities().declared.has(capability);
  }

  serversWith(capability: string): readonly string[] {
    return this.declares(capability) ? [this.id] : [];
  }
}
