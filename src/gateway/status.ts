import type { ServerConfig } from "../config/types.ts";
import { attentionOf, type GatewayCondition, sentenceOf } from "./attention.ts";
import type { RegistryCost, Snapshot } from "../gating/gate.ts";
import { VERSION } from "../lib/version.ts";
import { noticeText } from "../registry/build.ts";
import type { Gateway } from "./gateway.ts";
import type { Member } from "./members/member.ts";

/**
 * The whole of `/api/status`, part of the public contract: the gateway's state as it is now; of its
 * lists, the snapshot that `tally` has counted.
 */
export async function gatewayStatus(
  gateway: Gateway,
  tally: { of(registry: Snapshot): Promise<RegistryCost> },
) {
  const { registry } = gateway.snapshots;
  const cost = await tally.of(registry);
  const condition = gatewayCondition(gateway);
  return {
    // How things are, for people, and what somebody should look at.
    sentence: sentenceOf(condition),
    attention: attentionOf(condition),
    version: VERSION,
    uptimeSeconds: Math.floor((performance.now() - gateway.startedAt) / 1000),
    config: gateway.configState.status(),
    clients: { sessions: gateway.sessions.size, requestsInFlight: gateway.inFlight },
    lists: { version: registry.version, ...registry.aggregate.counts },
    // What the tools at `/mcp` take of a model's context, about, and what gating saves of it.
    gating: cost.aggregate,
    // Named views: how many entries their lists have, and what their tools take.
    profiles: [...registry.profiles].map(([name, { counts }]) => ({
      name,
      ...counts,
      gating: cost.profiles.get(name)!,
    })),
    // Results that are given again.
    resultCache: gateway.chains.cache.stats,
    // What of the configured patterns fits nothing that the servers have.
    notices: registry.notices.map(noticeText),
    // Names that two servers share, with what was done about it.
    conflicts: registry.conflicts,
    // Servers that a reload has let go and that still finish calls.
    // Why what was approved cannot be read.
    pinProblem: gateway.pins?.problem,
    draining: gateway.members.leaving.map((member) => member.config.name),
    // In the order of the configuration.
    servers: serverStates(gateway, (name) => cost.servers.get(name) ?? 0),
  };
}

/** Every configured server as `/api/status` tells it. */
function serverStates(gateway: Gateway, tokensOf: (server: string) => number) {
  return [...gateway.config.servers.values()].map((server) => {
    const member = gateway.members.get(server.name);
    return member === undefined
      ? disabledServer(server)
      : serverStatus(member, gateway, tokensOf(server.name));
  });
}

/** What needs no counting. */
export function gatewayCondition(gateway: Gateway): GatewayCondition {
  return {
    servers: serverStates(gateway, () => 0),
    config: gateway.configState.status(),
    pinProblem: gateway.pins?.problem,
    stopping: gateway.stopping.aborted,
  };
}

/** A server that is switched off, as far as there is something to say of it. */
export function disabledServer({ name, instances }: ServerConfig) {
  const target = instances[0]!;
  const transport = target.kind === "stdio" ? "stdio" : target.transport;
  const counts = { tools: 0, prompts: 0, resources: 0, templates: 0 };
  return { name, state: "disabled", transport, counts, tokens: 0 };
}

/** @param tokens about how many its tools take in the list of all */
function serverStatus(member: Member, { members, pins, redact }: Gateway, tokens: number) {
  const { lastError, problems, instances, ...status } = member.upstream.status();
  const redacted = (text: string | undefined) => text === undefined ? undefined : redact(text);
  return {
    ...status,
    lastError: redacted(lastError),
    problems: problems.map(redact),
    instances: instances?.map((each) => ({ ...each, lastError: redacted(each.lastError) })),
    // Its entries are shown from memory while it is away.
    stale: member.entry.stale,
    // The state of what a reload has started to take its place.
    successor: members.successor(member.config.name)?.upstream.state.phase,
    tokens,
    // Definitions that are not as they were approved, and how many of them are held back.
    pins: member.config.pin === "off" ? undefined : pins?.counts(member.config.name),
  };
}
