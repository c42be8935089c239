import type { GatingConfig } from "../config/types.ts";
import { parseGlob } from "../lib/glob.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import type { ArgumentRules } from "../protocol/arguments.ts";
import type { Era } from "../protocol/eras.ts";
import type { ListKind } from "../protocol/lists.ts";
import type { TaskRoute } from "../protocol/tasks.ts";
import { ListText, type Page, pageOf } from "../registry/lists.ts";
import { memoised, toolTokens } from "../registry/source.ts";
import type {
  Capabilities,
  Counts,
  NamedKind,
  ResourceRoute,
  Route,
  View,
} from "../registry/types.ts";
import { gatedInstructions, isMetaTool, metaToolTexts } from "./meta-tools.ts";

/** What {@link GatedView.build} builds from. */
export interface GatedInput {
  readonly full: View;
  readonly config: GatingConfig;
  /** Instructions that come first. */
  readonly preface: string | undefined;
}

/** Nothing of it depends on servers, and what it leads to is looked up at each call. Milliseconds. */
const META_TTL_MS = 300_000;

/** Lists of tools with what one client has provisioned; beyond so many they are built anew. */
const MAX_LISTS = 50;

/**
 * A view whose list of tools is the meta tools and the few that are always visible. Everything else
 * is that of the full view: tools can be called by their names, listed or not.
 */
export class GatedView implements View {
  readonly id: string;
  readonly instructions: string;
  readonly serverInfo: string | undefined;
  readonly counts: Counts;
  readonly labelsTasks: boolean;
  /** The view with all its tools. */
  readonly full: View;
  readonly config: GatingConfig;
  readonly #preface: string | undefined;
  /** Exposed names of tools that are always listed. */
  readonly #pinned: readonly string[];
  readonly #tools: Readonly<Record<Era, ListText>>;
  readonly #withProvisioned = new Map<string, ListText>();

  private constructor({ full, config, preface }: GatedInput, previous: GatedView | undefined) {
    this.full = full;
    this.config = config;
    this.#preface = preface;
    this.id = `${full.id}/gated`;
    this.serverInfo = full.serverInfo;
    this.labelsTasks = full.labelsTasks;
    this.instructions = [preface?.trim() ?? "", gatedInstructions(config)]
      .filter((part) => part !== "").join("\n\n");
    const patterns = config.alwaysVisible.map(parseGlob);
    this.#pinned = patterns.length === 0
      ? []
      : full.names("tool").filter((name) =>
        !isMetaTool(name) && patterns.some((pattern) => pattern.matches(name))
      );
    const listFor = (era: Era) => {
      const list = this.#listOf(this.#pinned, era);
      const before = previous?.list("tools", era);
      return before?.equals(list) ? before : list;
    };
    this.#tools = { legacy: listFor("legacy"), modern: listFor("modern") };
    this.counts = Object.freeze({ ...full.counts, tools: this.#tools.legacy.count });
  }

  /** Builds the view; where `previous` was built from the same, it is returned. */
  static build(input: GatedInput, previous?: GatedView): GatedView {
    const { full, config, preface } = input;
    return previous?.full === full && previous.config === config && previous.#preface === preface
      ? previous
      : new GatedView(input, previous);
  }

  /**
   * The list of tools for a client whose own list also has what it provisioned: exposed names, in
   * the order they are to be listed. Those that are gone are left out.
   */
  toolsWith(provisioned: readonly string[], era: Era): ListText {
    const more = provisioned.filter((name) => !this.#pinned.includes(name) && !isMetaTool(name));
    if (more.length === 0) return this.#tools[era];
    const key = JSON.stringify([era, more]);
    let list = this.#withProvisioned.get(key);
    if (list === undefined) {
      if (this.#withProvisioned.size >= MAX_LISTS) this.#withProvisioned.clear();
      this.#withProvisioned.set(key, list = this.#listOf([...this.#pinned, ...more], era));
    }
    return list;
  }

  list(kind: ListKind, era: Era = "legacy"): ListText {
    return kind === "tools" ? this.#tools[era] : this.full.list(kind, era);
  }

  page(kind: ListKind, era: Era, cursor: unknown, size: number): Page | undefined {
    return kind === "tools"
      ? pageOf(this.#tools[era], this.id, cursor, size)
      : this.full.page(kind, era, cursor, size);
  }

  #listOf(names: readonly string[], era: Era): ListText {
    const tools = names.length === 0 ? undefined : listedTools(this.full, era);
    const visible = names.flatMap((name) => tools?.get(name)?.raw ?? []);
    const { ttlMs, cacheScope } = this.full.list("tools", era);
    return new ListText(
      "tools",
      [...metaToolTexts(this.config), ...visible],
      visible.length === 0 ? { ttlMs: META_TTL_MS, cacheScope: undefined } : { ttlMs, cacheScope },
    );
  }

  tool(name: string): Route | undefined {
    return this.full.tool(name);
  }

  prompt(name: string): Route | undefined {
    return this.full.prompt(name);
  }

  resource(uri: string): ResourceRoute | undefined {
    return this.full.resource(uri);
  }

  template(uriTemplate: string): ResourceRoute | undefined {
    return this.full.template(uriTemplate);
  }

  ambiguous(kind: NamedKind | "resource", name: string): readonly Route[] {
    return this.full.ambiguous(kind, name);
  }

  names(kind: NamedKind): readonly string[] {
    return this.full.names(kind);
  }

  allows(server: string, kind: NamedKind | "resource", own: string): boolean {
    return this.full.allows(server, kind, own);
  }

  argumentRules(server: string, tool: string): ArgumentRules | undefined {
    return this.full.argumentRules(server, tool);
  }

  rewritesUris(server: string): boolean {
    return this.full.rewritesUris(server);
  }

  exposedUri(server: string, uri: string): string {
    return this.full.exposedUri(server, uri);
  }

  wrapsOutput(server: string, tool: string): boolean {
    return this.full.wrapsOutput(server, tool);
  }

  task(id: string): TaskRoute | undefined {
    return this.full.task(id);
  }

  capabilities(): Capabilities {
    return this.full.capabilities();
  }

  capabilitiesFor(era: Era): JsonObject {
    return this.full.capabilitiesFor(era);
  }

  ownerOfExtension(method: string): string | undefined {
    return this.full.ownerOfExtension(method);
  }

  declares(capability: string): boolean {
    return this.full.declares(capability);
  }

  serversWith(capability: string): readonly string[] {
    return this.full.serversWith(capability);
  }
}

/** One tool as a view lists it. The same object as long as the list is the same. */
export class ListedTool {
  #tokens: number | undefined;

  constructor(
    /** Where it leads; `exposed` is its name in the list. */
    readonly route: Route,
    /** Its JSON as clients get it. */
    readonly raw: string,
  ) {}

  /** {@link ListedTool.raw}, read anew each time: of thousands nobody keeps them. */
  get definition(): JsonObject {
    const parsed: unknown = JSON.parse(this.raw);
    return isObject(parsed) ? parsed : {};
  }

  /** About how many tokens its definition takes in a model's context. */
  get tokens(): number {
    return this.#tokens ??= toolTokens(this.definition);
  }
}

const toolsByView = new WeakMap<ListText, ReadonlyMap<string, ListedTool>>();

/**
 * The tools of an ungated view by their exposed names, in the order of its list. Only what models
 * are to see: tools that only a UI may call are not there.
 */
export function listedTools(view: View, era: Era = "legacy"): ReadonlyMap<string, ListedTool> {
  const list = view.list("tools", era);
  return memoised(toolsByView, list, () => {
    const names = view.names("tool");
    return new Map(
      list.items.flatMap((raw, index): [string, ListedTool][] => {
        const route = view.tool(names[index]!);
        return route === undefined ? [] : [[names[index]!, new ListedTool(route, raw)]];
      }),
    );
  });
}

/**
 * The tool of an ungated view that an id means: its exposed name, else the upstream's own name where
 * only one server has it, else `server:name`. Only tools that the view lists are found.
 */
export function findTool(view: View, id: string, era: Era): ListedTool | undefined {
  const listed = listedTools(view, era);
  return listed.get(id) ?? listed.get(view.tool(id)?.exposed ?? "") ?? qualified(listed, id);
}

const namesByView = new WeakMap<ReadonlyMap<string, ListedTool>, ReadonlyMap<string, ListedTool>>();

/** Both parts may have a colon in them, so that nothing is cut; of equals the first one counts. */
function qualified(listed: ReadonlyMap<string, ListedTool>, id: string): ListedTool | undefined {
  if (!id.includes(":")) return undefined;
  const tools = memoised(namesByView, listed, () => {
    const named = listed.values().map((tool) =>
      [`${tool.route.server}:${tool.route.name}`, tool] as const
    );
    return new Map([...named].reverse());
  });
  return tools.get(id);
}

/**
 * Tools of the server that an unknown id was meant for, as far as the id shows that: by `server:…`, or
 * by the prefix that the exposed names of a server's tools have in common. In the order of the list.
 */
export function toolsOfSameServer(
  listed: ReadonlyMap<string, ListedTool>,
  id: string,
  most: number,
): readonly string[] {
  const found: string[] = [];
  for (const [exposed, { route }] of listed) {
    if (found.length === most) break;
    const prefix = exposed.endsWith(route.name) ? exposed.slice(0, -route.name.length) : "";
    const isMeant = id.startsWith(`${route.server}:`) || (prefix !== "" && id.startsWith(prefix));
    if (isMeant) found.push(exposed);
  }
  return found;
}
