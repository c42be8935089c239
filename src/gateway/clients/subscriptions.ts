import { type Endpoint, viewOf } from "../../gating/endpoint.ts";
import { within } from "../../lib/time.ts";
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
   * Adds a subscriber to what was found; resolves when the server knows, for somebody else's sake
   * too: the URI may be on its way already.
   */
  async add({ server, uri }: ResourceRoute, subscriber: ResourceSubscriber): Promise<void> {
    let uris = this.#servers.get(server);
    if (uris === undefined) this.#servers.set(server, uris = new Map());
    const subscribers = uris.get(uri);
    if (subscribers === undefined) uris.set(uri, new Set([subscriber]));
    else subscribers.add(subscriber);
    await this.tell(server);
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
    if (subscribers?.delete(subscriber) !== true || subscribers.size > 0) return false;
    return this.#servers.get(server)!.delete(uri);
  }
}
