/** Users who call, log in and are refused in a seeded order, before one server to which each logs in. */

import assert from "node:assert/strict";
import type { ServiceEra } from "./personal-service.ts";
import { by, PersonalWorld } from "./personal-world.ts";

const USERS = ["alice", "bob", "carol"];
const REFUSED =
  /^Server "it" (needs a login|refused its login on [-\d]+ \(HTTP 401\)): run "mcproxy/;

/** The same numbers for the same seed. */
function numbers(seed: number): (below: number) => number {
  let at = seed;
  return (below) => {
    at = (Math.imul(at, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((at / 2 ** 32) * below);
  };
}

/**
 * One round, whose users are asked for by their own logins alone: who may use the server always can,
 * and nobody loses a login but whom the server refuses. @throws with the seed where that is not so
 */
export async function playRound(era: ServiceEra, seed: number, steps: number): Promise<void> {
  const below = numbers(seed);
  await using world = await PersonalWorld.open({
    era,
    users: USERS.slice(0, 2),
    limits: { users: 2 },
  });
  const { service, upstream } = world;
  const welcome = new Set(USERS.slice(0, 2));
  const pending = new Map<string, Set<Promise<unknown>>>(USERS.map((user) => [user, new Set()]));
  const failures: unknown[] = [];
  const call = (user: string, n: number) => {
    const client = by(below(2) === 0 ? "legacy" : "modern", user, `${user}-${below(2)}`);
    // Who is let in or refused meanwhile may be told either.
    let isSettled = true;
    const before = welcome.has(user);
    const answer = world.call(client, n).then((text) => {
      isSettled = welcome.has(user) === before;
      const isOwn = text === `${user} ${n}`;
      const isFull = / serves 2 users, which is as many as it may/.test(text);
      const isFine = isOwn || isFull || (REFUSED.test(text) && !(isSettled && before));
      if (!isFine) failures.push(`${user} (${before ? "in" : "out"}) is told ${text}`);
    });
    const all = pending.get(user)!.add(answer);
    void answer.finally(() => all.delete(answer));
  };
  const settle = async (user: string) => void await Promise.all(pending.get(user)!);
  try {
    for (let step = 0; step < steps; step++) {
      const user = USERS[below(3)]!;
      const choice = below(16);
      if (choice < 9) call(user, step);
      else if (choice === 9) await upstream.setSubscriptions(new Set([`x://${step}`]));
      else if (choice === 10) upstream.releaseSession(`${user}-${below(2)}`);
      else if (choice === 11 && welcome.size > 1) {
        await settle(user);
        welcome.delete(user);
        service.dead.add(user);
      } else if (choice === 12) {
        await settle(user);
        // What was refused is known to be over before there is another.
        if (service.dead.has(user)) await world.call(by("modern", user));
        service.dead.delete(user);
        await world.grant(user);
        welcome.add(user);
      } else await new Promise((resolve) => setImmediate(resolve));
    }
    for (const user of USERS) await settle(user);
    for (const user of welcome) call(user, steps), await settle(user);
    assert.deepEqual(failures, []);
    const kept = await service.file.read();
    for (const { principal, dead } of kept) {
      assert.ok(dead === undefined || !welcome.has(principal), `${principal} has lost the login`);
    }
  } catch (error) {
    throw new Error(`${era} server, seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
}
