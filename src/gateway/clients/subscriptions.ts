/** What clients want to hear of servers beyond answers: changed resources, and log lines. */

import { type Endpoint, type ListListener, viewOf } from "../../gating/endpoint.ts";
import { within } from "../../lib/time.ts";
import { invalidParams } from "../../protocol/errors.ts";
import type { Client } from "../../protocol/exchange.ts";
import type { NotificationMessage } from "../../protocol/message.ts";
import { mostVerbose } from "../../protocol/methods.ts";
import type { ResourceRoute } from "../../registry/types.ts";
import type { Upstream } from "../../upstream/upstream.ts";
import type { Members } from "../members/members.ts";
import type { Snapshots } from "../snapshots.ts";

/** How long a client waits for a server to take note of its level or subscription. Milliseconds. */
const TELL_PATIENCE = 5_000;
/** What one subscriber may have; each is kept at the gateway and at its server. */
export const MAX_SUBSCRIPTIONS = 1_000;

/** One holder of subscriptions: a legacy session or a modern `subscriptions/listen`. */
export interface ResourceSubscriber {
  /** A server has said this; to be passed on as its client knows what is named in it. */
  hear(server: string, message: NotificationMessage): void;
}

/**
 * Who wants to know of changes of which resource, by server and the upstream's own URI; counted, so
 * that upstreams are asked once.
 */
export class Subscriptions {
  readonly #servers = new Map<string, Map<string, Set<ResourceSubscriber>>>();
  /** How many each subscriber has. */
  readonly #counts = new Map<ResourceSubscriber, number>();

  constructor(
    private readonly members: Pick<Members, "upstream">,
    private readonly snapshots: Pick<Snapshots, "registry">,
  ) {}

  /** Where a resource can be subscribed to, or `undefined`. */
  find(endpoint: Endpoint, uri: string): ResourceRoute | undefined {
    const view = viewOf(this.snapshots.registry, endpoint);
    const found = view?.resource(uri);
    return found !== undefined && view!.capabilities().subscribe.includes(found.server)
      ? found
      : undefined;
  }

  /** {@link Subscriptions.addAll} for one. */
  add(route: ResourceRoute, subscriber: ResourceSubscriber): Promise<void> {
    return this.addAll([route], subscriber);
  }

  /**
   * Adds a subscriber to what was found, all in one change; resolves when the servers know, for
   * somebody else's sake too: a URI may be on its way already.
   * @throws {RpcError} -32602 beyond {@link MAX_SUBSCRIPTIONS}, before there is a promise
   */
  addAll(routes: readonly ResourceRoute[], subscriber: ResourceSubscriber): Promise<void> {
    for (const { server, uri } of routes) {
      const uris = this.#servers.getOrInsertComputed(server, () => new Map());
      let subscribers = uris.get(uri);
      if (subscribers?.has(subscriber)) continue;
      const count = this.#counts.get(subscriber) ?? 0;
      if (count >= MAX_SUBSCRIPTIONS) {
        throw invalidParams(`${count} resources are subscribed to already; unsubscribe from some`);
      }
      this.#counts.set(subscriber, count + 1);
      if (subscribers === undefined) uris.set(uri, subscribers = new Set());
      subscribers.add(subscriber);
    }
    const servers = new Set(routes.map(({ server }) => server));
    return Promise.all(servers.values().map((server) => this.tell(server))).then(() => {});
  }

  /** Takes a subscriber away; resolves when the server knows. */
  async remove({ server, uri }: ResourceRoute, subscriber: ResourceSubscriber): Promise<void> {
    if (this.#remove(server, uri, subscriber)) await this.tell(server);
  }

  /** Takes away everything a subscriber has. */
  drop(subscriber: ResourceSubscriber): void {
    for (const [server, uris] of this.#servers) {
      const gone = [...uris.keys()].filter((uri) => this.#remove(server, uri, subscriber));
      if (gone.length > 0) void this.tell(server);
    }
    this.#counts.delete(subscriber);
  }

  /** A server that does not answer is not waited for longer than {@link TELL_PATIENCE}. */
  async tell(server: string): Promise<void> {
    const told = this.members.upstream(server)?.setSubscriptions(this.uris(server));
    if (told !== undefined) await within(TELL_PATIENCE, told);
  }

  /** What a server has to be subscribed to. */
  uris(server: string): ReadonlySet<string> {
    return new Set(this.#servers.get(server)?.keys());
  }

  /** Who wants to know of this resource. */
  subscribers(server: string, uri: string): readonly ResourceSubscriber[] {
    return [...this.#servers.get(server)?.get(uri) ?? []];
  }

  /** True when the server's set of URIs has changed by it. */
  #remove(server: string, uri: string, subscriber: ResourceSubscriber): boolean {
    const subscribers = this.#servers.get(server)?.get(uri);
    if (subscribers?.delete(subscriber) !== true) return false;
    this.#counts.set(subscriber, this.#counts.get(subscriber)! - 1);
    if (subscribers.size > 0) return false;
    return this.#servers.get(server)!.delete(uri);
  }
}

/** Sees to it that servers log what clients want: all the most curious client behind them wants. */
export class LogLevels {
  /** @param sessions all there are at the moment */
  constructor(
    private readonly sessions: Iterable<Pick<ListListener, "endpoint" | "client">>,
    private readonly members: Members,
  ) {}

  /** A session's client wants lines from this level on; resolves when the servers know. */
  async changed({ client, endpoint }: Pick<ListListener, "endpoint" | "client">): Promise<void> {
    const { session, logLevel } = client ?? {};
    if (session === undefined || logLevel === undefined) return;
    await Promise.all(
      this.members.behind(endpoint).flatMap(({ upstream }) => [
        upstream.setSessionLogLevel(session, logLevel),
        this.tell(upstream),
      ]),
    );
  }

  /**
   * Sees to it that a server logs what a modern client wants for this request. Resolves when it
   * has been told, `undefined` when there is nothing to tell.
   */
  want(server: string, { era, logLevel }: Client): Promise<void> | undefined {
    if (era === "legacy" || logLevel === undefined) return undefined;
    const member = this.members.get(server);
    if (member === undefined) return undefined;
    const level = mostVerbose([member.modernLevel, logLevel]);
    if (level === undefined || level === member.modernLevel) return undefined;
    member.modernLevel = level;
    return this.tell(member.upstream);
  }

  /** A shared connection is set to the most verbose level anybody behind it asked for. */
  async tell(upstream: Upstream): Promise<void> {
    const levels = [...this.sessions]
      .filter(({ endpoint }) => this.members.isBehind(upstream, endpoint))
      .map(({ client }) => client?.logLevel);
    const level = mostVerbose([...levels, this.members.get(upstream.name)?.modernLevel]);
    if (level !== undefined) await within(TELL_PATIENCE, upstream.setLogLevel(level));
  }
}
