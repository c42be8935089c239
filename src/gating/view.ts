import type { GatingConfig } from "../config/types.ts";
import { parseGlob } from "../lib/glob.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import type { Era } from "../protocol/eras.ts";
import { ListText } from "../registry/lists.ts";
import { memoised, toolTokens } from "../registry/source.ts";
import type { Capabilities, Route, View } from "../registry/types.ts";
import { ListedView } from "../registry/view.ts";
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

/** What a gated view answers as the full one does: tools can be called by name, listed or not. */
const SAME = [
  "tool",
  "prompt",
  "resource",
  "template",
  "ambiguous",
  "names",
  "allows",
  "argumentRules",
  "rewritesUris",
  "exposedUri",
  "wrapsOutput",
  "task",
] as const satisfies readonly (keyof View)[];

/** {@link SAME} */
export interface GatedView extends Pick<View, typeof SAME[number]> {}

/** A view whose list of tools is the meta tools and the few that are always visible. */
export class GatedView extends ListedView implements View {
  readonly instructions: string;
  readonly serverInfo: string | undefined;
  readonly labelsTasks: boolean;
  /** The view with all its tools. */
  readonly full: View;
  readonly config: GatingConfig;
  readonly #preface: string | undefined;
  /** Exposed names of tools that are always listed. */
  readonly #pinned: readonly string[];
  readonly #withProvisioned = new Map<string, ListText>();

  private constructor({ full, config, preface }: GatedInput, previous: GatedView | undefined) {
    const patterns = config.alwaysVisible.map(parseGlob);
    const pinned = patterns.length === 0
      ? []
      : full.names("tool").filter((name) =>
        !isMetaTool(name) && patterns.some((pattern) => pattern.matches(name))
      );
    const listsFor = (era: Era) => ({
      tools: toolList(full, config, pinned, era, previous?.list("tools", era)),
      prompts: full.list("prompts", era),
      resources: full.list("resources", era),
      templates: full.list("templates", era),
    });
    const legacy = listsFor("legacy");
    super(`${full.id}/gated`, { own: legacy, legacy, modern: listsFor("modern") });
    for (const name of SAME) {
      Object.assign(this, { [name]: (full[name] as () => unknown).bind(full) });
    }
    this.full = full;
    this.config = config;
    this.#preface = preface;
    this.#pinned = pinned;
    this.serverInfo = full.serverInfo;
    this.labelsTasks = full.labelsTasks;
    this.instructions = [preface?.trim() ?? "", gatedInstructions(config)]
      .filter((part) => part !== "").join("\n\n");
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
    if (more.length === 0) return this.list("tools", era);
    const key = JSON.stringify([era, more]);
    let list = this.#withProvisioned.get(key);
    if (list === undefined) {
      if (this.#withProvisioned.size >= MAX_LISTS) this.#withProvisioned.clear();
      list = toolList(this.full, this.config, [...this.#pinned, ...more], era);
      this.#withProvisioned.set(key, list);
    }
    return list;
  }

  /** The other lists are those of the full view; so are their cursors, gated or not. */
  override page(...asked: Parameters<View["page"]>): ReturnType<View["page"]> {
    return asked[0] === "tools" ? super.page(...asked) : this.full.page(...asked);
  }

  capabilities(): Capabilities {
    return this.full.capabilities();
  }
}

/** The meta tools, then of the tools of the full view those with these exposed names. */
function toolList(
  full: View,
  config: GatingConfig,
  names: readonly string[],
  era: Era,
  before?: ListText,
): ListText {
  const tools = names.length === 0 ? undefined : listedTools(full, era);
  const visible = names.flatMap((name) => tools?.get(name)?.raw ?? []);
  const { ttlMs, cacheScope } = full.list("tools", era);
  return ListText.of(
    "tools",
    [...metaToolTexts(config), ...visible],
    visible.length === 0 ? { ttlMs: META_TTL_MS, cacheScope: undefined } : { ttlMs, cacheScope },
    before,
  );
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
