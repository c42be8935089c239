import type { JsonObject } from "../lib/json.ts";
import type { Era } from "../protocol/eras.ts";
import type { ListKind } from "../protocol/lists.ts";
import { type ListPolicy, mergedCapabilities, ownerOfExtension } from "./capabilities.ts";
import { type ListText, type Page, pageOf } from "./lists.ts";
import type { Capabilities, Counts } from "./types.ts";

/** The lists of a view: as the upstreams wrote them, and as clients of either era get them. */
export type ListsByEra = Readonly<Record<Era | "own", Readonly<Record<ListKind, ListText>>>>;

/** What all views do alike, see `View`. */
export abstract class ListedView {
  readonly counts: Counts;
  readonly #advertised = new Map<Era, JsonObject>();

  constructor(
    readonly id: string,
    private readonly lists: ListsByEra,
    private readonly policy: ListPolicy = "always",
  ) {
    const { tools, prompts, resources, templates } = lists.own;
    this.counts = Object.freeze({
      tools: tools.count,
      prompts: prompts.count,
      resources: resources.count,
      templates: templates.count,
    });
  }

  list(kind: ListKind, era?: Era): ListText {
    return this.lists[era ?? "own"][kind];
  }

  page(kind: ListKind, era: Era, cursor: unknown, size: number): Page | undefined {
    return pageOf(this.list(kind, era), this.id, cursor, size);
  }

  abstract capabilities(): Capabilities;

  capabilitiesFor(era: Era): JsonObject {
    const merge = () => mergedCapabilities(this.capabilities(), era, this.policy);
    return this.#advertised.getOrInsertComputed(era, merge);
  }

  ownerOfExtension(method: string): string | undefined {
    return ownerOfExtension(this.capabilities(), method);
  }

  serversWith(capability: string): readonly string[] {
    return this.capabilities().declared.get(capability)?.map(({ server }) => server) ?? [];
  }
}
