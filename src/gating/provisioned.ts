import type { Client } from "../protocol/exchange.ts";
import type { ListKind } from "../protocol/lists.ts";
import type { ListText } from "../registry/lists.ts";
import { type Endpoint, gateOf, isGated, type ListListener, viewOf } from "./endpoint.ts";
import type { Snapshot } from "./gate.ts";

/** Bounds of what is remembered of provisioning; of more, what was away longest is forgotten. */
export interface ProvisionLimits {
  /** Sessions: no fewer than there can be, for theirs is kept as long as they last. */
  readonly sessions: number;
  /** Handles, of which anybody can have any number. */
  readonly handles?: number;
  /** Tools of one client; of more, the earliest are forgotten. */
  readonly tools?: number;
}

/** Clients of one kind, by {@link provisionKey}, least recently used first. */
type Clients = Map<string, Set<string>>;

/** Which tools which client has provisioned, by their exposed names. */
export class Provisioned {
  readonly #limits: Required<ProvisionLimits>;
  readonly #sessions: Clients = new Map();
  readonly #handles: Clients = new Map();
  /** Told of what a legacy session has provisioned. */
  onAdded: ((session: string, ids: readonly string[]) => void) | undefined;

  constructor({ sessions, handles = 2_000, tools = 200 }: ProvisionLimits) {
    this.#limits = { sessions, handles, tools };
  }

  /** Whether anything is remembered under this key, be it an empty list. */
  knows(key: string): boolean {
    return this.#clients(key).has(key);
  }

  /** What was provisioned, in that order. */
  of(key: string): readonly string[] {
    return [...this.#touched(key) ?? []];
  }

  /** Whether this tool was. */
  has(key: string, id: string): boolean {
    return this.#touched(key)?.has(id) ?? false;
  }

  /** Adds tools; those that are there keep their place. */
  add(key: string, ids: readonly string[]): void {
    const tools = this.#touched(key) ?? new Set();
    for (const id of ids) tools.add(id);
    dropFirst(tools, this.#limits.tools);
    const clients = this.#clients(key);
    clients.set(key, tools);
    const { sessions, handles } = this.#limits;
    if (clients === this.#sessions) dropFirst(clients, sessions);
    else dropOfBusiest(clients, handles, ownerOf);
    if (clients === this.#sessions) this.onAdded?.(key.slice(SESSION.length), ids);
  }

  /** Forgets a client. */
  forget(key: string): void {
    this.#clients(key).delete(key);
  }

  /**
   * The list of tools of a client that has tools of its own in it: the gated list with what it
   * provisioned. `undefined` where it is that of its endpoint. Only legacy clients can have one: a
   * modern client has no session, and `tools/list` has no place for a handle.
   */
  ownTools(
    client: Client | undefined,
    endpoint: Endpoint,
    registry: Snapshot,
  ): ListText | undefined {
    if (client?.session === undefined) return undefined;
    const gate = gateOf(registry, endpoint);
    if (gate === undefined || !isGated(endpoint, gate)) return undefined;
    const { exposeProvisioned } = gate.config;
    if (exposeProvisioned === false) return undefined;
    if (exposeProvisioned === "auto" && !rereadsLists(client.info)) return undefined;
    const names = this.of(sessionKey(client.session));
    return names.length === 0 ? undefined : gate.view.toolsWith(names, client.era);
  }

  /**
   * The lists that have changed for one listener: `kinds` are those of its endpoint; its own list of
   * tools may have changed alone, or not.
   */
  changedFor(
    { client, endpoint, era }: ListListener,
    before: Snapshot,
    after: Snapshot,
    kinds: readonly ListKind[],
  ): readonly ListKind[] {
    const old = this.ownTools(client, endpoint, before);
    const own = this.ownTools(client, endpoint, after);
    if (old === undefined && own === undefined) return kinds;
    const was = old ?? viewOf(before, endpoint)?.list("tools", era);
    const is = own ?? viewOf(after, endpoint)?.list("tools", era);
    const others = kinds.filter((kind) => kind !== "tools");
    const isSame = is === undefined || (was !== undefined && is.sameItems(was));
    return isSame ? others : ["tools", ...others];
  }

  #touched(key: string): Set<string> | undefined {
    const clients = this.#clients(key);
    const tools = clients.get(key);
    if (tools === undefined) return undefined;
    clients.delete(key);
    clients.set(key, tools);
    return tools;
  }

  #clients(key: string): Clients {
    return key.startsWith(SESSION) ? this.#sessions : this.#handles;
  }
}

/**
 * Of more entries than `most`, the oldest of whoever has the most of them go: nobody drives out
 * others. Of many a hundredth at once, as it looks at all.
 */
export function dropOfBusiest<Value>(
  kept: Map<string, Value>,
  most: number,
  holderOf: (key: string, value: Value) => string | undefined,
): void {
  if (kept.size <= most) return;
  const counts = new Map<string | undefined, number>();
  let busiest: string | undefined;
  for (const [key, value] of kept) {
    const holder = holderOf(key, value);
    const count = (counts.get(holder) ?? 0) + 1;
    counts.set(holder, count);
    if (count > (counts.get(busiest) ?? 0)) busiest = holder;
  }
  let excess = Math.max(kept.size - most, Math.floor(0.01 * counts.get(busiest)!));
  for (const [key, value] of kept) {
    if (holderOf(key, value) !== busiest) continue;
    kept.delete(key);
    if (--excess <= 0) return;
  }
}

function dropFirst<K>(kept: Map<K, unknown> | Set<K>, most: number): void {
  for (const key of kept.keys()) {
    if (kept.size <= most) return;
    kept.delete(key);
  }
}

/**
 * Under what a client's tools are remembered. A legacy client is its session. A modern one has none,
 * and none is made up for it: it names the handle it was given, which holds for one view and whoever
 * got it. `undefined` where there is neither.
 */
export function provisionKey(
  { session, principal }: Pick<Client, "session" | "principal">,
  view: string,
  handle: string | undefined,
): string | undefined {
  if (session !== undefined) return sessionKey(session);
  if (handle === undefined) return undefined;
  // Whose it is comes first, without a blank: it is looked for in many, and parsed in none.
  const owner = encodeURIComponent(JSON.stringify(principal?.id ?? null));
  return `${HANDLE}${owner} ${JSON.stringify([view, handle])}`;
}

/** Who has a handle, which {@link provisionKey} begins with. */
function ownerOf(key: string): string {
  return key.slice(0, key.indexOf(" ", HANDLE.length));
}

const HANDLE = "handle ";

const SESSION = "session ";

/** {@link provisionKey} of a legacy session. */
export function sessionKey(session: string): string {
  return SESSION + session;
}

/**
 * Clients that read the list of tools again when they hear `list_changed`, by their
 * `clientInfo.name`. With the evidence (August 2026), because it gets old: VS Code documents it,
 * gemini-cli does it in `mcp-client.ts`, opencode lists afresh at each use, Cline since 3 August 2026
 * (#12619; before, it showed a message). Claude Desktop, Cursor, Codex and Roo Code do not, and of
 * Claude Code there are reports both ways; for them a changed list is lost and costs a prompt cache.
 */
const NAMES: readonly RegExp[] = [
  /^visual studio code\b/i,
  /^gemini-cli\b/i,
  /^cline$/i,
  /^opencode$/i,
];

/** Whether a client with this `clientInfo` is known to act on `list_changed`. */
export function rereadsLists({ name }: { readonly name?: unknown }): boolean {
  return typeof name === "string" && NAMES.some((known) => known.test(name));
}
