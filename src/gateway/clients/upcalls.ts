/**
 * What upstreams say that is no answer, and who hears it: the client it can be
 * attributed to, or those who subscribed, or nobody. It is never guessed.
 */

import type { JsonObject } from "../../lib/json.ts";
import { getLogger } from "../../log/mod.ts";
import type { Client, Exchange } from "../../protocol/exchange.ts";
import {
  idTextOf,
  type NotificationMessage,
  type RequestMessage,
  resultResponse,
} from "../../protocol/message.ts";
import { passes } from "../../protocol/methods.ts";
import { relatedTask } from "../../protocol/tasks.ts";
import type { UpstreamEvents } from "../../upstream/opener.ts";
import type { Members } from "../members/members.ts";
import type { Chains } from "../middleware/chains.ts";
import type { Owners } from "../tasks.ts";
import type { SessionStore } from "./sessions.ts";
import type { Subscriptions } from "./subscriptions.ts";

/** The gateway's parts that know whom to tell. */
export interface UpcallParts {
  readonly sessions: SessionStore;
  readonly members: Members;
  readonly subscriptions: Subscriptions;
  /** Elicitations that go on in a browser. */
  readonly elicitations: Owners;
  /** Whose a task is. */
  readonly tasks: Owners;
  readonly chains: Chains;
}

/** A notification of a server, and whom it can be attributed to. */
interface Said {
  readonly server: string;
  readonly message: NotificationMessage;
  readonly exchange: Exchange | undefined;
  /**
   * The session whose own connection brought it, else the one that owns what it names. In this
   * order: two processes of a server may give the same ids.
   */
  readonly owner: string | undefined;
}

const log = getLogger("mcproxy", "gateway");

/** Delivers them. */
export class Upcalls {
  constructor(private readonly parts: UpcallParts) {}

  /** What a server's upstream tells them. */
  of(server: string): Pick<UpstreamEvents, "onNotification" | "onRequest" | "ownerOf"> {
    const ownerOf = (params: JsonObject | undefined) =>
      this.parts.tasks.get(server, relatedTask(params));
    return {
      ownerOf,
      onNotification: (message, exchange, owner) =>
        this.#notified({ server, message, exchange, owner: owner ?? ownerOf(message.params) }),
      onRequest: (message) => this.#asked(server, message),
    };
  }

  /** A notification that is neither progress nor a changed list. */
  #notified(said: Said): void {
    const { server, message, owner } = said;
    const { params } = message;
    switch (message.method) {
      case "notifications/message":
        return this.#logLine(said);
      case "notifications/resources/updated":
        return this.#updated(server, message);
      case "notifications/elicitation/complete": {
        const session = owner ?? this.parts.elicitations.get(server, params?.elicitationId);
        return this.#deliver({ ...said, exchange: undefined, owner: session });
      }
      case "notifications/tasks/status":
      case "notifications/tasks": {
        const label = owner ?? this.parts.tasks.get(server, params?.taskId);
        return this.parts.sessions.labelled(label)?.hear(server, message);
      }
      default:
        this.#deliver(said);
    }
  }

  /** A request outside any call: roots can be answered from the configuration, nothing else. */
  #asked(server: string, message: RequestMessage): Promise<string> | undefined {
    if (message.method !== "roots/list") return undefined;
    const roots = JSON.stringify({ roots: this.parts.members.get(server)?.config.roots ?? [] });
    return Promise.resolve(resultResponse(idTextOf(message), roots));
  }

  #logLine(said: Said): void {
    const { server, message, exchange, owner } = said;
    const client = exchange?.client ?? this.parts.sessions.labelled(owner)?.client;
    if (client === undefined) {
      const line = message.params?.data;
      log.debug("A log line of {server} belongs to no client: {line}", { server, line });
    } else if (wantsLine(client, message)) this.#deliver(said);
  }

  #updated(server: string, message: NotificationMessage): void {
    const uri = message.params?.uri;
    if (typeof uri !== "string") return;
    // What the server said before this may not hold any more.
    this.parts.chains.cache.forget(server);
    for (const subscriber of this.parts.subscriptions.subscribers(server, uri)) {
      subscriber.hear(server, message);
    }
  }

  #deliver({ server, message, exchange, owner }: Said): void {
    if (exchange !== undefined) return exchange.notify(message.raw);
    const session = this.parts.sessions.labelled(owner);
    if (session !== undefined) return session.send(message.raw);
    const { method } = message;
    log.debug("Dropped {method} of {server}: it names no client", { server, method });
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
