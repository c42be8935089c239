/** What `check --connect` adds: the servers are started, asked what they offer, and stopped. */

import type { Io } from "../app/io.ts";
import type { Config } from "../config/types.ts";
import { serverOffers } from "../gateway/offers.ts";
import { ESTIMATE } from "../lib/tokens.ts";
import type { ListKind } from "../protocol/lists.ts";
import { untilSignal } from "./caller.ts";
import { counterOf, serverTokens } from "./costs.ts";
import type { Finding } from "./diagnose-tool.ts";
import { checkedTools, diagnose } from "./diagnose.ts";
import { LocalGateway } from "./local.ts";
import { withoutName } from "./view/live.ts";

/** One server in the report; part of the public contract. It contains no secret. */
export interface ConnectedServer {
  readonly name: string;
  /** Its state, or `disabled`. */
  readonly state: string;
  /** Why it is not ready; null when it is. */
  readonly error: string | null;
  /** What clients may see of its lists. */
  readonly counts: Readonly<Record<ListKind, number>>;
  /** About what its tools take of a model's context. */
  readonly tokens: number;
}

/** What was found behind the configuration; part of the public contract. It contains no secret. */
export interface ConnectionReport {
  /** In the order of the configuration. */
  readonly servers: readonly ConnectedServer[];
  /** Of all tools that clients see. */
  readonly tools: number;
  readonly tokens: number;
  /** What matters most first. */
  readonly findings: readonly Finding[];
}

const NO_COUNTS = { tools: 0, prompts: 0, resources: 0, templates: 0 };

/** Starts the servers and reports; where a signal comes first, its exit code is all there is. */
export async function connectReport(config: Config, io: Io): Promise<ConnectionReport | number> {
  const local = new LocalGateway(eager(config), io);
  return await untilSignal(local, io, async () => {
    await local.settled();
    return reportOf(local);
  });
}

/** Every server is started, also one that would wait for its first use. */
function eager(config: Config): Config {
  const servers = [...config.servers].map(([name, server]) => {
    const { idleTimeout: _, ...rest } = server;
    return [name, { ...rest, lazy: false }] as const;
  });
  return { ...config, servers: new Map(servers) };
}

function reportOf({ gateway }: LocalGateway): ConnectionReport {
  const { snapshots: { registry }, redact } = gateway;
  const tools = checkedTools(registry);
  const offers = [...serverOffers(gateway, counterOf(ESTIMATE))];
  const servers = offers.map((offer): ConnectedServer => {
    const { name, state } = offer;
    const error = offer.error === null ? null : withoutName(offer.error, name);
    const counts = registry.servers.get(name)?.counts ?? NO_COUNTS;
    return { name, state, error, counts, tokens: serverTokens(offer) };
  });
  const started = servers.flatMap(({ name, error }) => {
    const member = gateway.members.get(name);
    if (member === undefined) return [];
    const { upstream, config: { transform } } = member;
    return [{ name, error, problems: upstream.status().problems, cache: transform?.cache }];
  });
  const findings = diagnose(registry, tools, started).map((finding): Finding => ({
    ...finding,
    subject: finding.subject === null ? null : redact(finding.subject),
    message: redact(finding.message),
    remedy: finding.remedy === null ? null : redact(finding.remedy),
  }));
  const tokens = servers.reduce((sum, server) => sum + server.tokens, 0);
  return { servers, tools: tools.length, tokens, findings };
}
