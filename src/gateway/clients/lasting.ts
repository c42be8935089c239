/** Sessions that outlive the memory they are in: the process's, and the reaper's patience. */

import { join } from "node:path";
import type { Endpoint } from "../../gating/endpoint.ts";
import { sessionKey } from "../../gating/provisioned.ts";
import { attempt } from "../../lib/json.ts";
import { getLogger } from "../../log/mod.ts";
import type { Principal } from "../../protocol/exchange.ts";
import { isLoggingLevel } from "../../protocol/methods.ts";
import type { Gateway } from "../gateway.ts";
import type { Journal } from "./journal.ts";
import type { SealedSession } from "./sealed-id.ts";
import type { Session } from "./session.ts";

/** What is loaded with the first session: many a gateway has none. */
interface Tools {
  seal(session: SealedSession): string | undefined;
  open(id: string): SealedSession | undefined;
  readonly journal: Journal;
}

function isOf({ e, p }: SealedSession, principal: Principal | undefined, { key }: Endpoint) {
  return e === key && p === (principal?.id ?? null);
}

const log = getLogger("mcproxy", "gateway");

/**
 * Gives sessions of Streamable HTTP an id by which they can be taken up again, and takes them up.
 * What servers know of a session is not kept: connections are opened at need, as for a new one.
 */
export class LastingSessions {
  /** Names this process in the ids it gives. */
  readonly #home = crypto.randomUUID().slice(0, 8);
  #tools: Tools | undefined;
  #loading: Promise<Tools> | undefined;

  /** @param directory where key and journal are; without, sessions end with the process */
  constructor(private readonly gateway: Gateway, private readonly directory: string | undefined) {
    const { provisioned } = gateway.gating;
    provisioned.onAdded = (label, tools) => gateway.sessions.labelled(label)?.note("tools", tools);
  }

  /** Resolves when ids can be given. Never rejects. */
  async ready(): Promise<void> {
    await this.#load();
  }

  /** Gives a session that knows its client its lasting id, once {@link LastingSessions.ready}. */
  name(session: Session): void {
    const { client, endpoint, principal } = session;
    if (client === undefined || this.#tools === undefined) return;
    const { protocolVersion: v, capabilities: c, info: n } = client;
    const [i, t] = [session.id.replaceAll("-", "").slice(0, 16), Date.now()];
    const { label: l } = session;
    const sealed = { i, h: this.#home, l, t, e: endpoint.key, v, c, n, p: principal?.id ?? null };
    const id = this.#tools.seal(sealed);
    if (id === undefined) return;
    this.gateway.sessions.rename(session, id);
    this.#keep(session, sealed, this.#tools);
  }

  /** The session of an id that nobody has in memory; `undefined` where it may not go on. */
  async takeUp(
    id: string,
    endpoint: Endpoint,
    principal: Principal | undefined,
    address?: string,
  ): Promise<Session | undefined> {
    const tools = await this.#load();
    const { gateway } = this;
    // Another request of the same client may have been faster.
    const there = gateway.sessions.get(id);
    if (there !== undefined) return there.isOf(principal, endpoint) ? there : undefined;
    const sealed = tools.open(id);
    if (sealed === undefined || !isOf(sealed, principal, endpoint)) return undefined;
    const { i, h, l, t, v, c, n } = sealed;
    if (gateway.stopping.aborted || !tools.journal.goesOn(i, t)) return undefined;
    const noted = tools.journal.of(i);
    // Tasks are remembered by it.
    const session = gateway.openSession(
      "http",
      endpoint,
      h === this.#home ? l : undefined,
      principal,
      address,
    );
    const logLevel = isLoggingLevel(noted?.level) ? noted.level : undefined;
    session.resume({ protocolVersion: v, capabilities: c, info: n, logLevel });
    gateway.sessions.rename(session, id);
    void gateway.levels.changed(session);
    if (noted !== undefined && noted.tools.size > 0) {
      gateway.gating.provisioned.add(sessionKey(session.label), [...noted.tools]);
    }
    this.#keep(session, sealed, tools, new Set(noted?.subscriptions));
    return session;
  }

  /** Ends a session for good, in memory or not; false where the id is none of theirs here. */
  async end(id: string, endpoint: Endpoint, principal: Principal | undefined): Promise<boolean> {
    const { journal, open } = await this.#load();
    const sealed = open(id);
    if (sealed === undefined || !isOf(sealed, principal, endpoint)) return false;
    if (journal.goesOn(sealed.i, sealed.t)) journal.write(sealed.i, sealed.t, "end");
    return true;
  }

  /** Writes down what changes; `uris` are subscribed to as soon as their servers are known. */
  #keep(session: Session, { i, t }: SealedSession, { journal }: Tools, uris?: Set<string>): void {
    session.note = (note, value) => {
      if (note === "unsubscribe") uris?.delete(value as string);
      journal.write(i, t, note, value);
    };
    if (uris === undefined || uris.size === 0) return;
    const { subscriptions, events } = this.gateway;
    const subscribe = () => {
      for (const uri of uris) {
        const found = subscriptions.find(session.endpoint, uri);
        if (found === undefined) continue;
        uris.delete(uri);
        // Its client may have subscribed to as many as it may have meanwhile.
        void attempt(() => subscriptions.add(found, session));
      }
      if (uris.size === 0) stop();
    };
    const stop = events.on("lists", subscribe);
    session.closed.addEventListener("abort", stop, { once: true });
    subscribe();
  }

  async #load(): Promise<Tools> {
    return this.#tools ?? await (this.#loading ??= this.#loaded());
  }

  async #loaded(): Promise<Tools> {
    const [{ sealId, openId }, { Journal }, { keptKey }] = await Promise.all([
      import("./sealed-id.ts"),
      import("./journal.ts"),
      import("../../lib/kept-key.ts"),
    ]);
    const complain = (file: string, reason: string) =>
      log.warning(
        "Cannot use {file}: {reason}; after a restart clients may have to begin a new session",
        { file, reason },
      );
    const { directory, gateway } = this;
    const file = directory && join(directory, "session.key");
    const key = await keptKey(file, (reason) => complain(file!, reason), true);
    const path = directory && join(directory, "sessions.jsonl");
    return this.#tools = {
      seal: (session) => sealId(session, key),
      open: (id) => openId(id, key),
      journal: new Journal(path, () => gateway.config.settings.sessionMaxAge, complain),
    };
  }
}
