import type { ServerConfig, ServerTransform } from "../../config/types.ts";
import { parseGlob } from "../../lib/glob.ts";
import type { ArgumentRules } from "../../protocol/arguments.ts";
import type { Inventory } from "../../protocol/lists.ts";
import type { Registry, View } from "../../registry/types.ts";
import { cacheReads, cacheResults, ResultCache } from "./cache.ts";
import { declaresOutput, type Middleware, withArguments } from "./middleware.ts";
import { ResultStore } from "./result-store.ts";

/** What of a server's configuration decides about its chains. */
export type TransformedServer = Pick<ServerConfig, "key" | "transform">;

/** What {@link Chains} needs of the gateway. */
export interface ChainsOptions {
  /** Bytes of cached results; 0 for none. */
  readonly cacheSize: number;
  /** An enabled server by its name. */
  config(server: string): TransformedServer | undefined;
  /** What a server offers, as far as is known. */
  inventory(server: string): Inventory | undefined;
}

/** Who calls tools by names nobody has makes entries here, too; beyond this they start anew. */
const MAX_TOOLS = 10_000;

const NONE: readonly Middleware[] = [];

/**
 * Which middlewares a call goes through, found out once for each tool of a configuration; and what
 * they share. One for a gateway.
 */
export class Chains {
  /** Whole results of what was cut. */
  readonly store = new ResultStore();
  /** What may be given again. */
  readonly cache: ResultCache;
  readonly #reads: readonly Middleware[];
  readonly #chains = new WeakMap<ServerTransform, Map<string, readonly Middleware[]>>();

  constructor(private readonly options: ChainsOptions) {
    this.cache = new ResultCache(options.cacheSize);
    this.#reads = [cacheReads(this.cache)];
  }

  /**
   * What a request about `name` of a server goes through, outermost first; `undefined` for nothing.
   * Costs nothing for a server without settings, and else a look into a map. `name` is the server's
   * own.
   */
  of(
    method: string,
    server: string,
    name: string,
    view: Pick<View, "argumentRules">,
  ): readonly Middleware[] | undefined {
    if (method === "resources/read") return this.#reads;
    if (method !== "tools/call") return undefined;
    const config = this.options.config(server);
    return config && this.#ofTool(config, name, view.argumentRules(server, name));
  }

  /** To be called with every new snapshot: what a server says may have changed with its lists. */
  registryChanged(before: Registry, after: Registry): void {
    const known = new Map(before.entries.map(({ name, inventory }) => [name, inventory]));
    for (const { name, inventory } of after.entries) {
      if (known.get(name) !== inventory) this.cache.forget(name);
    }
  }

  #ofTool(
    { key, transform }: TransformedServer,
    tool: string,
    rules: ArgumentRules | undefined,
  ): readonly Middleware[] | undefined {
    if (transform === undefined) return rules && [withArguments(rules)];
    const tools = this.#chains.getOrInsertComputed(transform, () => new Map());
    let chain = tools.get(tool);
    if (chain === undefined) {
      if (tools.size >= MAX_TOOLS) tools.clear();
      tools.set(tool, chain = this.#build(transform, key, tool));
    }
    if (rules !== undefined) return [withArguments(rules), ...chain];
    return chain === NONE ? undefined : chain;
  }

  /**
   * The order is from the client to the upstream. What is cut is cut for each client anew, since
   * the link to the whole is the client's own; what is replaced is replaced before anybody keeps it.
   */
  #build(transform: ServerTransform, key: string, tool: string): readonly Middleware[] {
    const { store, cache } = this;
    const chain: Middleware[] = [];
    const limit = transform.maxResultBytes.find((rule) => names(rule.tools, tool))?.bytes ?? 0;
    if (limit > 0) {
      chain.push(late(async () =>
        (await import("./size.ts")).limitResults({
          limit,
          store,
          declaresOutput: ({ server, name }) => this.#declaresOutput(server, name),
        })
      ));
    }
    const rule = transform.cache.find(({ tools }) => names(tools, tool));
    const replacements = transform.replace
      .filter(({ tools }) => tools.some((pattern) => names(pattern, tool)));
    if (rule !== undefined && rule.ttl > 0) {
      chain.push(cacheResults(rule, cache, JSON.stringify([key, replacements])));
    }
    if (replacements.length > 0) {
      chain.push(late(async () => (await import("./replace.ts")).replaceText(replacements)));
    }
    return chain.length === 0 ? NONE : chain;
  }

  #declaresOutput(server: string, tool: string): boolean {
    const tools = this.options.inventory(server)?.lists.tools.items;
    const item = tools?.find(({ key }) => key === tool);
    return item !== undefined && declaresOutput(item);
  }
}

/** What is loaded with the first call it is for: few gateways have any. */
function late(load: () => Promise<Middleware>): Middleware {
  let loaded: Promise<Middleware> | undefined;
  return async (call, next) => (await (loaded ??= load()))(call, next);
}

function names(pattern: string, tool: string): boolean {
  return parseGlob(pattern).matches(tool);
}
