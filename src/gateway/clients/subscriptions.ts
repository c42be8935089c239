import { type Endpoint, viewOf } from "../../gating/endpoint.ts";
import { within } from "../../lib/time.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import type { ResourceRoute } from "../../registry/types.ts";
import type { Members } from "../members/members.ts";
import type { Snapshots } from "../snapshots.ts";
import { TELL_PATIENCE } from "./levels.ts";

/** One holder of subscriptions: a legacy session or a modern `subscriptions/listen`. */
export interface ResourceSubscriber {
  /** `uri` is the upstream's own; `raw` its notification, unchanged. */
  resourceUpdated(server: string, uri: string, raw: string): void;
}

/**
 * Who wants to know of changes of which resource, by server and the upstream's own URI; counted, so
 * that upstreams are asked once.
 */
export class Subscriptions {
  readonly #servers = new Map<string, Map<string, Set<ResourceSubscriber>>>();

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

  /**
   * Subscribes a client of the endpoint; resolves when the server knows.
   * @throws {RpcError} for a resource nobody offers or that cannot be subscribed to
   */
  async subscribe(endpoint: Endpoint, uri: string, subscriber: ResourceSubscriber): Promise<void> {
    const found = this.find(endpoint, uri);
    if (found !== undefined) return await this.subscribeTo(found, subscriber);
    throw new RpcError(
      ErrorCode.LegacyResourceNotFound,
      `Resource not found, or its server has no subscriptions: "${uri}"`,
      { uri },
    );
  }

  /**
   * Subscribes to what was found; resolves when the server knows, for somebody else's sake too: the
   * URI may be on its way already.
   */
  async subscribeTo({ server, uri }: ResourceRoute, subscriber: ResourceSubscriber): Promise<void> {
    this.add(server, uri, subscriber);
    await this.tell(server);
  }

  /** Takes a subscription back; resolves when the server knows. */
  async unsubscribe(
    endpoint: Endpoint,
    uri: string,
    subscriber: ResourceSubscriber,
  ): Promise<void> {
    const found = this.find(endpoint, uri);
    if (found === undefined || !this.remove(found.server, found.uri, subscriber)) return;
    await this.tell(found.server);
  }

  /** Takes away everything a subscriber has. */
  drop(subscriber: ResourceSubscriber): void {
    for (const server of this.removeAll(subscriber)) void this.tell(server);
  }

  /** A server that does not answer is not waited for longer than {@link TELL_PATIENCE}. */
  async tell(server: string): Promise<void> {
    const told = this.members.upstream(server)?.setSubscriptions(this.uris(server));
    if (told !== undefined) await within(TELL_PATIENCE, told);
  }

  /** Adds one; true when the server's set of URIs has changed by it. */
  add(server: string, uri: string, subscriber: ResourceSubscriber): boolean {
    let uris = this.#servers.get(server);
    if (uris === undefined) this.#servers.set(server, uris = new Map());
    const subscribers = uris.get(uri);
    if (subscribers === undefined) uris.set(uri, new Set([subscriber]));
    else subscribers.add(subscriber);
    return subscribers === undefined;
  }

  /** Takes one away; true when the server's set of URIs has changed by it. */
  remove(server: string, uri: string, subscriber: ResourceSubscriber): boolean {
    const subscribers = this.#servers.get(server)?.get(uri);
    if (subscribers?.delete(subscriber) !== true || subscribers.size > 0) return false;
    this.#servers.get(server)!.delete(uri);
    return true;
  }

  /** Takes away all that a subscriber has; the servers whose set of URIs has changed by it. */
  removeAll(subscriber: ResourceSubscriber): string[] {
    const changed = new Set<string>();
    for (const [server, uris] of this.#servers) {
      for (const uri of [...uris.keys()]) {
        if (this.remove(server, uri, subscriber)) changed.add(server);
      }
    }
    return [...changed];
  }

  /** What a server has to be subscribed to. */
  uris(server: string): ReadonlySet<string> {
    return new Set(this.#servers.get(server)?.keys());
  }

  /** Who wants to know of this resource. */
  subscribers(server: string, uri: string): readonly ResourceSubscriber[] {
    return [...this.#servers.get(server)?.get(uri) ?? []];
  }
}
