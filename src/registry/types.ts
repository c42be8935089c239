/** What the registry is made of, as its readers see it. */

import type { ConfigPath } from "../config/issue.ts";
import type { ServerShape } from "../config/types.ts";
import type { JsonObject } from "../lib/json.ts";
import type { ArgumentRules } from "../protocol/arguments.ts";
import type { Era } from "../protocol/eras.ts";
import type { Inventory, ListKind } from "../protocol/lists.ts";
import type { Prefix } from "../protocol/names.ts";
import type { TaskRoute } from "../protocol/tasks.ts";
import type { ListText, Page } from "./lists.ts";

/** One server's part in the registry. Immutable: a change is a new object. */
export interface ServerEntry {
  /** Config key. */
  readonly name: string;
  readonly prefix: Prefix;
  readonly separator: string;
  /** As the upstream has it. */
  readonly inventory: Inventory;
  /** What clients see of it; everything, as it is, when absent. */
  readonly shape?: ServerShape | undefined;
  /** The server is lost for the moment and `inventory` is what it offered last. */
  readonly stale: boolean;
  /** Nobody may reach what the inventory has not: what was never approved is held back. */
  readonly isClosed?: boolean;
}

/** Where a name or URI of a view leads. */
export interface Route {
  /** Config key of the owning server. */
  readonly server: string;
  /** The upstream's own name, to be sent to it. */
  readonly name: string;
  /** The name in the view's list. */
  readonly exposed: string;
}

/** Where a resource URI or URI template of a view leads. */
export interface ResourceRoute {
  /** Config key of the owning server. */
  readonly server: string;
  /** The upstream's own URI, to be sent to it. */
  readonly uri: string;
}

/** What is found by name. */
export type NamedKind = "tool" | "prompt";

/** Something the aggregate had to decide, for the log, `check` and status. */
export interface Conflict {
  readonly kind: ListKind;
  /**
   * `duplicate`: one server lists the same key twice, the first counts.
   * `prefixed`: servers with `prefix: "conflict"` offer the same name and now carry theirs.
   * `suffixed`: names that were spelled alike now carry a hash.
   * `shared`: a URI that several servers offer is rewritten for each of them.
   */
  readonly type: "duplicate" | "prefixed" | "suffixed" | "shared";
  /** The name or URI that was wanted more than once. */
  readonly wanted: string;
  /** Who wanted it, in the order of the config. */
  readonly parties: readonly Route[];
}

/** How many entries each list of a view has. */
export type Counts = Readonly<Record<ListKind, number>>;

/** What the clients of one endpoint see of the upstreams: lists to read, names to resolve. */
export interface View {
  /** `*` for the aggregate, `profiles/<name>` for a profile, else the server's name. */
  readonly id: string;
  /**
   * Instructions for `initialize` and `server/discover`; of several servers under a heading each, and
   * of a profile its own before them.
   */
  readonly instructions: string | undefined;
  /** JSON text of the one upstream's `serverInfo`; `undefined` where there are more. */
  readonly serverInfo: string | undefined;
  readonly counts: Counts;
  /** The tool called `name`: by its exposed name, or by its own where that is unique here. */
  tool(name: string): Route | undefined;
  /** The prompt called `name`, as {@link View.tool}. */
  prompt(name: string): Route | undefined;
  /**
   * Who reads `uri`: a listed URI first, then the most specific matching template (of equals the
   * one of the first server). `undefined` also for a shared URI without its server's label, which
   * is never guessed: see {@link View.ambiguous}.
   */
  resource(uri: string): ResourceRoute | undefined;
  /** Who lists this exact URI template, for `completion/complete`. */
  template(uriTemplate: string): ResourceRoute | undefined;
  /**
   * Whom a name or URI that resolves to nothing may have meant; empty unless it is two or more.
   * For a resource, `exposed` is the URI to read instead.
   */
  ambiguous(kind: NamedKind | "resource", name: string): readonly Route[];
  /** The exposed names, in the order of the list. */
  names(kind: NamedKind): readonly string[];
  /**
   * Whether clients of this view may reach what the server itself calls `own`: a tool or a prompt by
   * its name, a resource by its URI, listed or not. To be asked before anything is sent to a server
   * that was not found by {@link View.tool} and its like, which have asked already.
   */
  allows(server: string, kind: NamedKind | "resource", own: string): boolean;
  /**
   * What becomes of the arguments of calls of a tool, `tool` being the server's own name;
   * `undefined` for nothing. Cheap.
   */
  argumentRules(server: string, tool: string): ArgumentRules | undefined;
  /** Whether {@link View.exposedUri} ever changes a URI of this server. Cheap. */
  rewritesUris(server: string): boolean;
  /**
   * The URI under which this view's clients reach `uri` of `server`: to be put wherever the server
   * names one. The same text unless another server could be meant.
   */
  exposedUri(server: string, uri: string): string;
  /**
   * A list as clients of an era get it; without an era, as the upstreams wrote it. The same object
   * wherever nothing differs. The aggregate's does not have the tools that only a UI may call
   * (MCP Apps); they can be called all the same.
   */
  list(kind: ListKind, era?: Era): ListText;
  /**
   * The page a client asks for with `cursor` (its `params.cursor`, `undefined` for the first);
   * `size` 0 puts no limit to it. `undefined` where the cursor is none of this list: -32602.
   */
  page(kind: ListKind, era: Era, cursor: unknown, size: number): Page | undefined;
  /**
   * Whether legacy clients see this tool of a modern server with a wrapped output schema, so that
   * a result from its modern connection needs `structuredContentEdits(…, true)`. `tool` is the
   * server's own name.
   */
  wrapsOutput(server: string, tool: string): boolean;
  /** Whether ids of tasks carry their server's name here, and so need the edits of `tasks.ts`. */
  readonly labelsTasks: boolean;
  /** Where the task with this id is; `undefined` where that is none of this view's servers. */
  task(id: string): TaskRoute | undefined;
  /** What the servers of this view declare, as facts. */
  capabilities(): Capabilities;
  /** What to advertise to clients of this era. The same object each time. */
  capabilitiesFor(era: Era): JsonObject;
  /**
   * The one server that a method of no known kind, request or notification, is to be passed to;
   * `undefined` where none or several could be meant.
   */
  ownerOfExtension(method: string): string | undefined;
  /** The servers that declare this capability, in the order of the config. */
  serversWith(capability: string): readonly string[];
}

/** One immutable snapshot of everything that is offered. */
export interface Registry {
  readonly version: number;
  /** All servers behind one list. */
  readonly aggregate: View;
  /** Each server 1:1, by config key, in the order of the config. */
  readonly servers: ReadonlyMap<string, View>;
  /** The views that the configuration names, by their names, in its order. */
  readonly profiles: ReadonlyMap<string, View>;
  /** What in the configuration of shapes and profiles does not fit what the servers have. */
  readonly notices: readonly ShapeNotice[];
  /** What the aggregate had to decide, in the order of lists and servers. */
  readonly conflicts: readonly Conflict[];
  /** What this was built from. */
  readonly entries: readonly ServerEntry[];
}

/** One server's declaration of one capability. */
export interface Declaration {
  readonly server: string;
  /** What it declared, as it wrote it (JSON). */
  readonly text: string;
  /** The era it declared it in, where that is known. */
  readonly era?: Era;
}

/** Who declares what; keys as the upstreams wrote them, declarations in the order of the servers. */
export type Declarations = ReadonlyMap<string, readonly Declaration[]>;

/** What the servers of a view declare. Facts only: what the gateway can do itself is not here. */
export interface Capabilities {
  /** By top-level key: `tools`, `logging`, `tasks` and whatever comes. */
  readonly declared: Declarations;
  /** The members of `experimental`. */
  readonly experimental: Declarations;
  /** The members of `extensions`, by identifier. */
  readonly extensions: Declarations;
  /** The servers whose `resources` can be subscribed to (`resources.subscribe`). */
  readonly subscribe: readonly string[];
  /** The servers that list their tasks (`tasks.list`, 2025-11-25). */
  readonly taskLists: readonly string[];
}

/** Something in the configuration that turns out not to fit what the servers have. */
export interface ShapeNotice {
  /**
   * `unused`: a pattern or name that matches nothing.
   * `taken`: a new name that another entry of the server has; the old one stays.
   * `missing`: a parameter that the tool does not have.
   * `required`: a hidden parameter that the tool requires, and nobody gives.
   */
  readonly type: "unused" | "taken" | "missing" | "required";
  /** Where in the configuration. */
  readonly path: ConfigPath;
  /** The pattern, name or parameter it is about. */
  readonly subject: string;
  /** The tool, where the subject is a parameter; the new name, where it is taken. */
  readonly about?: string;
}
