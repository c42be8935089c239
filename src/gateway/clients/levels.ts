import type { ListListener } from "../../gating/endpoint.ts";
import { within } from "../../lib/time.ts";
import type { Client } from "../../protocol/exchange.ts";
import { mostVerbose } from "../../protocol/methods.ts";
import type { Upstream } from "../../upstream/upstream.ts";
import type { Members } from "../members/members.ts";

/** How long a client waits for a server to take note of its level or subscription. Milliseconds. */
export const TELL_PATIENCE = 5_000;

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
    const level = mostVerbose([member?.modernLevel, logLevel]);
    if (member === undefined || level === undefined || level === member.modernLevel) {
      return undefined;
    }
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
