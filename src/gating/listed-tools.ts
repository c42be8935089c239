import { isObject, type JsonObject } from "../lib/json.ts";
import type { Era } from "../protocol/versions.ts";
import type { ListText } from "../registry/list-text.ts";
import { memoised } from "../registry/memo.ts";
import { toolTokens } from "../registry/tool-tokens.ts";
import type { Route, View } from "../registry/types.ts";

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
