/** What is asked before a call, where limits, an audit or `auth` are configured. Loaded for those. */

import { type AuditConfig, type Config, isPersonal } from "../../config/types.ts";
import type { Endpoint } from "../../gating/endpoint.ts";
import type { Redactor } from "../../lib/secrets.ts";
import { plural } from "../../lib/text.ts";
import { within } from "../../lib/time.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import { errorResponse, idTextOf, resultResponse } from "../../protocol/message.ts";
import type { Reply } from "../../registry/answers.ts";
import { wantsLogin } from "../../upstream/transport/failures.ts";
import type { ActiveExchange } from "../clients/exchange.ts";
import type { Session } from "../clients/session.ts";
import { type Facts, nameIn, SILENT } from "../events.ts";
import { Audit } from "./audit.ts";
import { MAX_SUBSCRIPTIONS } from "../clients/subscriptions.ts";
import { COUNTED, LaterError, limitAt, Limits, reached } from "./limits.ts";

/** The gateway's parts that it works with. */
export interface ControlParts {
  readonly config: Config;
  readonly events: Facts;
  readonly sessions: Iterable<Session>;
  readonly redactor: Redactor;
  readonly stateDirectory: string | undefined;
}

/** Sessions of one principal where nothing is said of them; subscriptions likewise. */
const MOST_SESSIONS = 100;
/** Resources that all subscriptions of one principal are for. */
const MOST_URIS = 10 * MAX_SUBSCRIPTIONS;
/** Milliseconds that start, reload and stop wait for a disk. */
const PATIENCE = 500;

/** Limits, and the audit where there is one. */
export class Control extends Limits {
  /** Subscriptions of modern clients that are open, and their resources. */
  readonly #listening = new Map<string, { count: number; uris: number }>();
  #audit: Audit | undefined;
  #audited: AuditConfig | undefined;

  constructor(private readonly parts: ControlParts) {
    super(() => parts.config);
  }

  /** Does what the configuration says now. Resolves when it is known whether the audit is written. */
  async reload(): Promise<void> {
    const { audit: config } = this.parts.config.settings;
    if (config === this.#audited) return;
    this.#audited = config;
    const { events, stateDirectory, config: { file: source } } = this.parts;
    const redactor = () => this.parts.redactor;
    // It listens from now on, and writes when the one before has written its last.
    const after = this.#audit && within(PATIENCE, this.#audit.close());
    this.#audit = config && new Audit({ config, source, events, stateDirectory, redactor, after });
    await within(PATIENCE, this.#audit?.opened ?? after ?? Promise.resolve());
  }

  /** Counts a call that has come. @throws {LaterError} where it is to come again */
  override enter(exchange: Exchange, endpoint: Endpoint): void {
    if (this.#audit?.refusal !== undefined && COUNTED.has(exchange.request.method)) {
      throw new LaterError(503, "Calls are refused while the audit cannot be written", 5);
    }
    super.enter(exchange, endpoint);
  }

  /**
   * Counts a subscription to so many resources, of which it may be to fewer, until `end`.
   * @throws {LaterError} where its client has as many as it may
   */
  listen({ client: { principal, pipe } }: Exchange, endpoint: Endpoint, uris: number) {
    const { settings } = this.parts.config;
    const { value = MOST_SESSIONS, scope } = limitAt("sessions", endpoint, settings);
    const key = scope + (principal?.id ?? "");
    const open = this.#listening.get(key) ?? { count: 0, uris: 0 };
    if (pipe === undefined && open.count >= value) {
      throw reached(`${plural(value, "subscription")} at a time`, 0);
    }
    const own = Math.min(uris, MOST_URIS - open.uris);
    open.count++;
    open.uris += own;
    this.#listening.set(key, open);
    const end = () => {
      open.uris -= own;
      if (--open.count === 0) this.#listening.delete(key);
    };
    return { uris: own, end };
  }

  /** What the client is told of what was thrown here. Models read results, and wait. */
  answer(
    exchange: ActiveExchange,
    { key: endpoint }: Endpoint,
    error: unknown,
  ): Reply | undefined {
    if (!(error instanceof LaterError)) return this.#ownLogin(exchange, error);
    const { rid, client, request, server } = exchange;
    const { method, params } = request;
    const id = idTextOf(request);
    const { status, message: told, seconds } = error;
    if (status === 429) {
      const fact = { rid, client, method, name: nameIn(params), endpoint, server, told };
      this.parts.events.emit({ kind: "limited", ...fact });
    }
    exchange.record?.failed(error, "refused");
    if (status !== 429 || method !== "tools/call") {
      const text = () => errorResponse(id, error);
      return { status, seconds, text, body: text };
    }
    return failedResult(exchange, told);
  }

  /** Who lacks a login of his own, or rights of it, is told so by a result, as models read it. */
  #ownLogin(exchange: ActiveExchange, error: unknown): Reply | undefined {
    const { request: { method }, server, record } = exchange;
    if (method !== "tools/call" || !wantsLogin(error)) return undefined;
    const { config: { servers }, redactor } = this.parts;
    if (!isPersonal(servers.get(server)?.instances[0])) return undefined;
    const told = redactor.text(error.message);
    record?.failed({ code: error.code, message: told });
    return failedResult(exchange, told);
  }

  /** Ends the idlest sessions of a principal that has one too many. */
  opened({ endpoint, principal }: Session): void {
    const { settings } = this.parts.config;
    const { value = MOST_SESSIONS, scope } = limitAt("sessions", endpoint, settings);
    const own = [...this.parts.sessions].filter((one) =>
      one.kind !== "stdio" && one.principal?.id === principal?.id &&
      limitAt("sessions", one.endpoint, settings).scope === scope
    );
    const now = Date.now();
    // The latest is the one that has just come.
    const idlest = own.slice(0, -1).sort((a, b) => b.idleFor(now) - a.idleFor(now));
    for (const one of idlest.slice(0, Math.max(0, own.length - value))) one.close(SILENT.crowded);
  }

  /** Writes the last of the audit. */
  async close(): Promise<void> {
    await within(PATIENCE, this.#audit?.close() ?? Promise.resolve());
  }
}

/** The result of a tool that was not called. */
function failedResult({ client: { era }, request }: Exchange, text: string): string {
  const type = era === "legacy" ? {} : { resultType: "complete" };
  const content = [{ type: "text", text }];
  return resultResponse(idTextOf(request), JSON.stringify({ content, isError: true, ...type }));
}
