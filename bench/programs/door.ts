/**
 * Times the door beside what nobody could do without: for a credential that was seen before, reading
 * the header; for one at first sight, hashing it, or verifying it with `jose` alone. Prints JSON: per
 * kind, nanoseconds per request of both ways, a sample each round.
 */

import { createHash, randomBytes } from "node:crypto";
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from "jose";
import { createDoor } from "../../src/front/auth/door.ts";

const ROUNDS = 7;
const publicUrl = "https://mcp.example.com";
const issuer = "https://id.example.com";

interface Sample {
  readonly name: string;
  readonly ours: number[];
  readonly plain: number[];
}

type Work = (index: number) => unknown;

let sink = 0;

async function time(count: number, work: Work): Promise<number> {
  const began = performance.now();
  for (let index = 0; index < count; index++) {
    const done = work(index);
    if (done instanceof Promise) await done;
    if (done !== undefined) sink++;
  }
  return (performance.now() - began) * 1e6 / count;
}

/** Both are made anew for each round: at second sight there is nothing to time. */
async function compare(
  name: string,
  count: number,
  ours: () => Work,
  plain: () => Work,
): Promise<Sample> {
  const sample: Sample = { name, ours: [], plain: [] };
  for (let round = -1; round < ROUNDS; round++) {
    const [mine, other] = [await time(count, ours()), await time(count, plain())];
    if (round < 0) continue;
    sample.ours.push(mine);
    sample.plain.push(other);
  }
  return sample;
}

const request = (authorization: string) =>
  new Request("http://127.0.0.1/mcp", { headers: { authorization } });

const keys = Array.from(
  { length: 2_000 },
  () => `mcproxy_${randomBytes(32).toString("base64url")}`,
);
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const { publicKey, privateKey } = await generateKeyPair("ES256");
const jwks = { keys: [{ ...await exportJWK(publicKey), kid: "a", alg: "ES256" }] };
const tokens = await Promise.all(
  Array.from(
    { length: 100 },
    (_, index) =>
      new SignJWT({ iss: issuer, sub: `u${index}`, aud: `${publicUrl}/mcp`, exp: 9e9 })
        .setProtectedHeader({ alg: "ES256", kid: "a" }).sign(privateKey),
  ),
);

function newDoor() {
  return createDoor({
    settings: {
      publicUrl,
      auth: {
        keys: keys.map((key, index) => ({
          name: `k${index}`,
          hash: sha256(key),
          expires: undefined,
        })),
        issuers: [{ issuer, scopes: [], jwks: `${issuer}/keys` }],
      },
    },
    fetch: () => Promise.resolve(Response.json(jwks)),
  });
}

const byKey = keys.map((key) => request(`Bearer ${key}`));
const byToken = tokens.map((token) => request(`Bearer ${token}`));
const seen = newDoor();
for (const one of [byKey[0]!, byToken[0]!]) await seen.admit(one, undefined, "/mcp");
const header = (one: Request) => () => () => one.headers.get("authorization");
const local = createLocalJWKSet(jwks);

/** Wrong keys that share their first characters with the right one, whether that shows in the time. */
function refuse(shared: number): Promise<Sample> {
  const refused = (shared: number) => (): Work => {
    const door = newDoor();
    const wrong = Array.from({ length: 1_000 }, () => {
      const rest = randomBytes(32).toString("hex").slice(0, 50 - shared);
      return request(`Bearer ${keys[0]!.slice(0, shared)}${rest}.`);
    });
    return async (index) => {
      try {
        // From another address each: too many from one are refused for that.
        const remoteAddr = { hostname: `10.0.${index >> 8}.${index & 255}` };
        await door.admit(wrong[index]!, { remoteAddr }, "/mcp");
      } catch {
        return true;
      }
      throw new Error("let in");
    };
  };
  const name = `a wrong key that shares ${shared} of 51 characters`;
  return compare(name, 1_000, refused(shared), refused(0));
}

console.log(JSON.stringify([
  await compare(
    "the door, a key seen before",
    200_000,
    () => () => seen.admit(byKey[0]!, undefined, "/mcp"),
    header(byKey[0]!),
  ),
  await compare(
    "the door, a token seen before",
    200_000,
    () => () => seen.admit(byToken[0]!, undefined, "/mcp"),
    header(byToken[0]!),
  ),
  await compare("the door, a key at first sight", keys.length, () => {
    const door = newDoor();
    return (index) => door.admit(byKey[index]!, undefined, "/mcp");
  }, () => (index) => sha256(keys[index]!)),
  await compare("the door, a token at first sight", tokens.length - 1, () => {
    const door = newDoor();
    return (index) => door.admit(byToken[index + 1]!, undefined, "/mcp");
  }, () => (index) => jwtVerify(tokens[index]!, local, { issuer })),
  await refuse(28),
  await refuse(48),
]));
if (sink === 0) throw new Error("nothing was measured");
