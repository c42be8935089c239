import assert from "node:assert/strict";
import { runtime } from "#runtime";
import { Server } from "../../src/app/server.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { Runtime } from "../../src/runtime/types.ts";
import { HttpPeer, SsePeer, StdioPeer } from "../support/clients/legacy-peers.ts";
import { ModernPeer } from "../support/clients/modern-peer.ts";
import type { Peer, PeerOptions } from "../support/clients/peer.ts";
import { LINE_LIMITS } from "../../src/upstream/lines.ts";
import { FakeChild, type FakeProgram } from "../support/fake-child.ts";
import { Control, type InteractiveSpec } from "../support/fakes/interactive.ts";

/** How a client is connected. */
export type PeerKind = "http" | "sse" | "stdio" | "modern";

/** How the one upstream is reached. */
export type UpstreamKind =
  | "stdio, shared"
  | "stdio, per session"
  | "stdio, auto"
  | "http legacy"
  | "http modern";

/** What a {@link House} is made for. */
export interface HouseOptions {
  /** Its upstream asks for roots as soon as it is initialised. */
  readonly rootsAtStart?: boolean;
  /**
   * How many clients there will be. What pipes and processes do to messages shows with few; where
   * there are many, an upstream on stdio is no process but a program inside this one.
   */
  readonly clients?: number;
}

/** More clients than that are many. */
const FEW = 4;

/**
 * A gateway in this process with one interactive upstream, `u`, and as many clients as a test
 * wants. Client `i` is called `c0`, `c1`, …; all use the same ids and tokens.
 */
export class House implements AsyncDisposable {
  private constructor(
    readonly kind: UpstreamKind,
    readonly control: Control,
    readonly server: Server,
  ) {}

  /** Starts it and waits for the upstream. */
  static async open(
    kind: UpstreamKind,
    { clients = 0, ...options }: HouseOptions = {},
  ): Promise<House> {
    const control = await Control.start();
    try {
      const spec = { ...options, name: "u" };
      const u = await upstreamEntry(kind, control, spec, clients > FEW);
      const settings = { prefix: "never", port: 0, shutdownTimeout: "1s" };
      const text = JSON.stringify({ ...settings, mcpServers: { u } });
      const parsed = parseConfig(text, { file: "isolation", env: {} });
      assert.ok(parsed.ok, parsed.ok ? "" : JSON.stringify(parsed.issues));
      const server = await Server.start({
        config: parsed.config,
        runtime: clients > FEW ? { ...runtime, spawn: inside(control.program(spec)) } : runtime,
        listen: true,
      });
      await server.gateway.settled();
      return new House(kind, control, server);
    } catch (error) {
      await control.close();
      throw error;
    }
  }

  /** Connects a client. */
  peer(kind: PeerKind, options: PeerOptions): Promise<Peer> {
    const url = this.server.url!;
    switch (kind) {
      case "http":
        return HttpPeer.connect(url, options);
      case "sse":
        return SsePeer.connect(new URL("/sse", url).href, options);
      case "stdio":
        return StdioPeer.connect(this.server.gateway, options);
      case "modern":
        return Promise.resolve(new ModernPeer(url, options));
    }
  }

  /**
   * Waits until the calls of all peers stand at their gate. Where each call of a modern client
   * needs a process of its own, no more of them than there may be.
   */
  async allWaiting(peers: readonly Peer[]): Promise<void> {
    const modern = peers.filter(isModern).length;
    const most = this.kind === "stdio, per session" ? LINE_LIMITS.leases : Infinity;
    const count = peers.length - modern + Math.min(modern, most);
    let left = count;
    await this.control.events.waitFor(({ kind }) => kind === "waiting" && --left === 0);
  }

  /** Connects `count` clients, of the kinds in turn. */
  peers(kinds: readonly PeerKind[], count: number): Promise<Peer[]> {
    return Promise.all(
      Array.from({ length: count }, (_, i) => {
        return this.peer(kinds[i % kinds.length]!, { label: `c${i}` });
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    await this.control.close();
  }
}

/** The command of an upstream that is no process. */
const INSIDE = "a program inside this process";

/** Starts that program, whatever is to be started. */
function inside(program: FakeProgram): Runtime["spawn"] {
  let pid = 0;
  return (options) => {
    const child = new FakeChild(++pid, options);
    program(child);
    return Promise.resolve(child);
  };
}

async function upstreamEntry(
  kind: UpstreamKind,
  control: Control,
  spec: InteractiveSpec,
  isInside: boolean,
): Promise<Record<string, unknown>> {
  const stdio = (extra: object) =>
    isInside ? { command: INSIDE, ...extra } : control.stdio(spec, extra);
  switch (kind) {
    case "stdio, shared":
      return stdio({ sharing: "shared" });
    case "stdio, per session":
      return stdio({ sharing: "session" });
    case "stdio, auto":
      return stdio({});
    case "http legacy":
      return await control.http(spec);
    case "http modern":
      return await control.http({ ...spec, era: "modern" });
  }
}

/** The ways clients are mixed. */
export const MIXES: readonly (readonly PeerKind[])[] = [
  ["http"],
  ["sse"],
  ["stdio"],
  ["modern"],
  ["http", "modern", "sse", "stdio"],
];

/** Hears what each peer heard, and compares it with what it should have: all of it, in order. */
export async function assertHeard(
  peers: readonly Peer[],
  expected: (peer: Peer, index: number) => readonly string[],
): Promise<void> {
  const heard = await Promise.all(peers.map((peer) => peer.finish()));
  const all = (lines: readonly (readonly string[])[]) =>
    Object.fromEntries(peers.map(({ label }, i) => [label, lines[i]!.filter(notTheEnd)]));
  assert.deepEqual(all(heard), all(peers.map(expected)));
}

/** The ping that ends a stream is the peer's own. */
function notTheEnd(line: string): boolean {
  return !line.startsWith('answer "the end"');
}

/** True for a peer that is asked by `input_required`. */
export function isModern(peer: Peer): boolean {
  return peer instanceof ModernPeer;
}
