/** Who wants to know of changes of which resource, counted so that upstreams are asked once. */

/** One holder of subscriptions: a legacy session or a modern `subscriptions/listen`. */
export interface ResourceSubscriber {
  /** `uri` is the upstream's own; `raw` its notification, unchanged. */
  resourceUpdated(server: string, uri: string, raw: string): void;
}

/** All subscriptions to resources, by server and the upstream's own URI. Plain data. */
export class Subscriptions {
  readonly #servers = new Map<string, Map<string, Set<ResourceSubscriber>>>();

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
