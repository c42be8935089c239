/**
 * What upstreams say that is no answer, and who hears it: the client it can be
 * attributed to, or those who subscribed, or nobody. It is never guessed.
 */

import { getLogger } from "../../log/mod.ts";
import type { Client, Exchange } from "../../protocol/exchange.ts";
import {
  idTextOf,
  type NotificationMessage,
  type RequestMessage,
  resultResponse,
} from "../../protocol/message.ts";
import { passes } from "../../protocol/methods.ts";
import { exposedNotification, type Owners } from "../tasks.ts";
import type { Session } from "./session.ts";
import type { Subscriptions } from "./subscriptions.ts";

/** A root the configuration gives to a server that asks outside any call. */
export interface ConfiguredRoot {
  readonly uri: string;
  readonly name?: string;
}

/** Who can be told. */
export interface UpcallHost {
  /** An open legacy session, by its label. */
  session(label: string): Session | undefined;
  /** The roots configured for a server. */
  roots(server: string): readonly ConfiguredRoot[];
  readonly subscriptions: Subscriptions;
  /** Elicitations that go on in a browser. */
  readonly elicitations: Owners;
  /** Whose a task is. */
  readonly tasks: Owners;
  /** What a server said before this may not hold any more. */
  readonly onResourceUpdated: (server: string) => void;
}

const log = getLogger("mcproxy", "gateway");

/** Delivers them. */
export class Upcalls {
  constructor(private readonly host: UpcallHost) {}

  /** A notification that is neither progress nor a changed list. */
  notified(
    server: string,
    message: NotificationMessage,
    exchange: Exchange | undefined,
    owner: string | undefined,
  ): void {
    switch (message.method) {
      case "notifications/message":
        return this.#logLine(server, message, exchange, owner);
      case "notifications/resources/updated":
        return this.#updated(server, message);
      case "notifications/elicitation/complete": {
        const id = message.params?.elicitationId;
        const session = typeof id === "string" ? this.host.elicitations.get(server, id) : undefined;
        return this.#toSession(session ?? owner, server, message);
      }
      case "notifications/tasks/status":
      case "notifications/tasks": {
        const id = message.params?.taskId;
        const label = typeof id === "string" ? this.host.tasks.get(server, id) : undefined;
        const session = this.#session(label ?? owner);
        const raw = session?.endpoint.server === undefined
          ? exposedNotification(message, server)
          : message.raw;
        return session?.send(raw);
      }
      default:
        if (exchange !== undefined) exchange.notify(message.raw);
        else this.#toSession(owner, server, message);
    }
  }

  /** A request outside any call: roots can be answered from the configuration, nothing else. */
  asked(server: string, message: RequestMessage): Promise<string> | undefined {
    if (message.method !== "roots/list") return undefined;
    const roots = JSON.stringify({ roots: this.host.roots(server) });
    return Promise.resolve(resultResponse(idTextOf(message), roots));
  }

  #logLine(
    server: string,
    message: NotificationMessage,
    exchange: Exchange | undefined,
    owner: string | undefined,
  ): void {
    const client = exchange?.client ?? this.#session(owner)?.client;
    if (client === undefined) {
      log.debug("A log line of {server} belongs to no client: {line}", {
        server,
        line: message.params?.data,
      });
    } else if (wantsLine(client, message)) {
      if (exchange !== undefined) exchange.notify(message.raw);
      else this.#toSession(owner, server, message);
    }
  }

  #updated(server: string, message: NotificationMessage): void {
    const uri = message.params?.uri;
    if (typeof uri !== "string") return;
    this.host.onResourceUpdated(server);
    for (const subscriber of this.host.subscriptions.subscribers(server, uri)) {
      subscriber.resourceUpdated(server, uri, message.raw);
    }
  }

  #toSession(owner: string | undefined, server: string, message: NotificationMessage): void {
    const session = this.#session(owner);
    if (session !== undefined) session.send(message.raw);
    else {log.debug("Dropped {method} of {server}: it names no client", {
        server,
        method: message.method,
      });}
  }

  #session(label: string | undefined): Session | undefined {
    return label === undefined ? undefined : this.host.session(label);
  }
}

/**
 * A modern client gets log lines only for a request that asked for them; a legacy one that never
 * set a level leaves it to the server (server/utilities/logging).
 */
function wantsLine(client: Client, message: NotificationMessage): boolean {
  if (client.logLevel === undefined) return client.era === "legacy";
  return passes(message.params?.level, client.logLevel);
}
