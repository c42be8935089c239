/** Two people before one gateway, at everything that could tell one of the other, in a seeded order. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { parseConfig } from "../../src/config/load.ts";
import { LastingSessions } from "../../src/gateway/clients/lasting.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { systemClock } from "../../src/lib/time.ts";
import { AFTERWORDS } from "../../src/upstream/connection/questions.ts";
import { type Below, type Home, Person } from "./principals-person.ts";
import { type Held, OFFERS, serverProgram, spawnServers } from "./principals-servers.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

const CONFIG = {
  prefix: "never",
  gating: { requireProvisioning: true },
  mcpServers: Object.fromEntries(
    Object.entries(OFFERS).map(([command, { era }]) => [command, { command, protocol: era }]),
  ) as Record<string, Json>,
  profiles: {
    alpha: { servers: ["s", "d", "m", "onlyalpha"], risk: "read" },
    // The same by what it leaves out.
    beta: {
      tools: { exclude: ["alpha_*"] },
      prompts: { exclude: ["alpha_*"] },
      resources: { exclude: ["alpha://*", "res://s/private"] },
    },
    both: { servers: ["s", "d", "m"] },
  },
};
Object.assign(CONFIG.mcpServers.s, {
  sharing: "shared",
  cache: { cached: { ttl: "10m" } },
  maxResultBytes: { big: 256 },
});
CONFIG.mcpServers.d.sharing = "session";

/** The same numbers for the same seed. */
function numbers(seed: number): Below {
  let at = seed | 0;
  return (below) => {
    at = (at + 0x6d2b79f5) | 0;
    let mixed = Math.imul(at ^ (at >>> 15), 1 | at);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/**
 * Whatever is somebody's alone: what servers say, and what the gateway gives out. Base64url has no
 * tilde: a shorter pattern was once found in a random signature.
 */
const PRIVATE = /tok~[\da-z]+~|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g;

/** The gateway, its servers, and who has heard what. */
export class PrincipalsHouse implements Home, AsyncDisposable {
  /** Who has heard a text first; by then nobody else may. */
  readonly #heard = new Map<string, Person>();
  readonly #held: Held[] = [];
  #words: (() => void)[] = [];
  #tokens = 0;
  readonly #now = systemClock.now;
  /** Milliseconds that have not passed, and are taken to have. */
  #hurried = 0;
  #arrived = Promise.withResolvers<void>();
  readonly gateway: Gateway;
  readonly lasting: LastingSessions;

  private constructor() {
    const parsed = parseConfig(JSON.stringify(CONFIG), { file: "principals.json", env: {} });
    assert.ok(parsed.ok, JSON.stringify(parsed));
    const backstage = {
      token: () => this.token(),
      hold: (held: Held) => {
        this.#held.push(held);
        this.#arrived.resolve();
        this.#arrived = Promise.withResolvers();
      },
      later: (word: () => void) => void this.#words.push(word),
    };
    const programs = Object.keys(OFFERS).map((name) => [name, serverProgram(name, backstage)]);
    const spawn = spawnServers(Object.fromEntries(programs));
    this.gateway = new Gateway({ config: parsed.config, runtime: { ...runtime, spawn } });
    this.lasting = new LastingSessions(this.gateway, undefined);
    const { now } = systemClock;
    systemClock.now = () => now() + this.#hurried;
  }

  hurry(): void {
    this.#hurried += AFTERWORDS;
  }

  static async open(): Promise<PrincipalsHouse> {
    const house = new PrincipalsHouse();
    house.gateway.start();
    await Promise.all([house.gateway.settled(), house.lasting.ready()]);
    return house;
  }

  token(): string {
    return `tok~${(++this.#tokens).toString(36)}~`;
  }

  /**
   * A text has reached somebody. What they have just `said` themselves may come back to them.
   * @throws where anything in it is somebody else's
   */
  heard(person: Person, raw: string, said = ""): void {
    for (const [word] of raw.matchAll(PRIVATE)) {
      if (said.includes(word)) continue;
      const owner = this.#heard.getOrInsert(word, person);
      assert.ok(owner === person, `${person} hears what is ${owner}'s: ${raw.slice(0, 500)}`);
    }
    const others = person.word === "alpha" ? "beta" : "alpha";
    const names = `${others}CANARY|${others}_tool|${others}_prompt|${others}://|only${others}`;
    // What is asked for stands in the answer that says it is not there.
    const told = said === "" ? raw : raw.replaceAll(said, "");
    assert.doesNotMatch(told, new RegExp(names), `${person} hears of what only ${others} has`);
  }

  /** Lets one call be answered, or has one word said about one that was. */
  release(below: Below): void {
    const [held] = this.#held.splice(below(Math.max(1, this.#held.length)), 1);
    held?.();
    if (held === undefined) this.#words.splice(0, 1).forEach((word) => word());
  }

  /** Answers everything until something has happened. */
  async until<T>(happened: Promise<T>, below: Below): Promise<T> {
    let isOver = false;
    const end = () => void (isOver = true);
    happened.then(end, end);
    while (!isOver) {
      const { promise } = this.#arrived;
      while (this.#held.length > 0) this.release(below);
      await Promise.race([promise, happened]);
    }
    return await happened;
  }

  /** Answers everything until nobody waits any more. */
  async finish(people: readonly Person[], below: Below): Promise<void> {
    for (const person of people) {
      do {
        await this.until(Promise.allSettled(person.pending), below);
        await this.until(person.resume(below), below);
      } while (person.pending.size > 0);
    }
    for (const word of this.#words.splice(0)) word();
    await turn();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    systemClock.now = this.#now;
    (await this.gateway.parking()).close();
    await this.gateway.close();
  }

  /** A round: two new people, and as many steps in the order that `seed` gives. */
  async round(seed: number, steps: number): Promise<Readonly<Record<string, number>>> {
    const below = numbers(seed);
    const alice = new Person(this, "alpha", `alice ${seed}`);
    const bob = new Person(this, "beta", `bob ${seed}`);
    const people = [alice, bob];
    try {
      for (let step = 0; step < steps; step++) {
        const [one, other] = below(2) === 0 ? [alice, bob] : [bob, alice];
        const era = below(2) === 0 ? "legacy" : "modern";
        const choice = below(16);
        if (choice < 5) this.release(below);
        else if (choice < 12) one.act(era, below);
        else if (choice < 13) await this.until(one.useOwn(era, below), below);
        else if (choice < 14) await this.until(one.guessName(other, era, below), below);
        else await this.until(one.guess(other.pick(below), era), below);
        if (below(2) === 0) await turn();
        if (below(4) === 0) this.hurry();
      }
      for (const [one, other] of [[alice, bob], [bob, alice]] as const) {
        const state = other.oneOfEach().find(({ kind }) => kind === "state");
        await this.until(one.guess(state, "modern"), below);
      }
      await this.finish(people, below);
      for (const [one, other] of [[alice, bob], [bob, alice]] as const) {
        for (const secret of other.oneOfEach()) {
          for (const era of ["legacy", "modern"] as const) {
            await this.until(one.guess(secret, era), below);
          }
          await this.until(other.useOwn(secret.era, below, secret), below);
        }
      }
      await this.finish(people, below);
      for (const { failures } of people) if (failures.length > 0) throw failures[0];
      return Object.fromEntries(
        [...alice.done].map(([what, count]) => [what, count + (bob.done.get(what) ?? 0)]),
      );
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    } finally {
      for (const person of people) person.leave();
    }
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Rounds one after the other, before one gateway; says what was tried how often. */
export async function playRounds(
  { first, count, steps }: {
    readonly first: number;
    readonly count: number;
    readonly steps: number;
  },
): Promise<Readonly<Record<string, number>>> {
  await using house = await PrincipalsHouse.open();
  const tried: Record<string, number> = {};
  for (let seed = first; seed < first + count; seed++) {
    for (const [what, times] of Object.entries(await house.round(seed, steps))) {
      tried[what] = (tried[what] ?? 0) + times;
    }
  }
  return tried;
}
