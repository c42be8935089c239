import type { Client } from "../../protocol/exchange.ts";

/** Bounds of what is remembered of provisioning. */
export interface ProvisionLimits {
  /** Clients; of more, those that were away longest are forgotten. */
  readonly clients: number;
  /** Tools of one client; of more, the earliest are forgotten. */
  readonly tools: number;
}

const LIMITS: ProvisionLimits = { clients: 2_000, tools: 200 };

/** Which tools which client has provisioned, by their exposed names. */
export class Provisioned {
  readonly #limits: ProvisionLimits;
  /** By {@link provisionKey}, least recently used first. */
  readonly #clients = new Map<string, Set<string>>();

  constructor(limits: ProvisionLimits = LIMITS) {
    this.#limits = limits;
  }

  /** Whether anything is remembered under this key, be it an empty list. */
  knows(key: string): boolean {
    return this.#clients.has(key);
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
    this.#clients.set(key, tools);
    dropFirst(this.#clients, this.#limits.clients);
  }

  /** Forgets a client. */
  forget(key: string): void {
    this.#clients.delete(key);
  }

  #touched(key: string): Set<string> | undefined {
    const tools = this.#clients.get(key);
    if (tools === undefined) return undefined;
    this.#clients.delete(key);
    this.#clients.set(key, tools);
    return tools;
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
 * and none is made up for it: it names the handle it was given, which holds for one view. `undefined`
 * where there is neither.
 */
export function provisionKey(
  { session }: Pick<Client, "session">,
  view: string,
  handle: string | undefined,
): string | undefined {
  if (session !== undefined) return sessionKey(session);
  return handle === undefined ? undefined : JSON.stringify(["handle", view, handle]);
}

/** {@link provisionKey} of a legacy session. */
export function sessionKey(session: string): string {
  return JSON.stringify(["session", session]);
}

/** A handle that nobody can guess: whoever knows it is the client. */
export function newHandle(): string {
  return crypto.randomUUID();
}
