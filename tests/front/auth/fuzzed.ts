/** Headers and tokens as nobody writes them, from a seed: none of them lets in. */

import assert from "node:assert/strict";
import { Refusal } from "../../../src/front/reply.ts";
import { createDoor } from "../../../src/front/auth/door.ts";
import { Seeded } from "../../soak/seeded.ts";
import { FakeIssuer, ISSUER, issuerOf, key, NOW, PUBLIC_URL } from "./support.ts";

const KEY = "mcproxy_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const NAMES = ["authorization", "x-api-key", "cf-access-jwt-assertion", "x-user", "x-groups"];
const PIECES = [
  ...[
    "Bearer ",
    "bearer",
    "Basic ",
    "Bearer\t",
    ",",
    " ",
    "=",
    ".",
    "..",
    "é",
    "\u00ff",
    KEY.slice(0, -1),
  ],
  ...[
    "mcproxy_",
    "null",
    "undefined",
    "__proto__",
    "e30",
    "e30.e30.e30",
    '"',
    "\\",
    "%00",
    "key:ci",
  ],
];
const VALUES = [null, true, 0, -1, 1e308, "", "none", "HS256", "ES256", [], {}, [ISSUER], "é", NOW];
const CLAIMS = [
  "iss",
  "aud",
  "sub",
  "exp",
  "nbf",
  "iat",
  "email",
  "email_verified",
  "scope",
  "groups",
];
const HEAD = [
  "alg",
  "kid",
  "typ",
  "crit",
  "b64",
  "jwk",
  "jku",
  "x5c",
  "x5u",
  "zip",
  "enc",
  "__proto__",
];

/** Tries so many requests; whoever gets in, or hears another answer than there is, fails the test. */
export async function fuzzDoor(count: number, seed: number): Promise<Map<number, number>> {
  const random = new Seeded(seed);
  const issuer = new FakeIssuer();
  await issuer.rotate("a");
  const good = await issuer.sign({ email: "a@b", scope: "x", exp: 9e9 });
  const others = [
    await issuer.sign({ aud: "https://other", exp: 9e9 }),
    await issuer.sign({ exp: 1 }),
  ];
  let now = NOW;
  const door = createDoor({
    settings: {
      publicUrl: PUBLIC_URL,
      auth: {
        keys: [key("a", KEY)],
        issuers: [
          issuerOf({ name: "email", as: "a/" }),
          issuerOf({
            issuer: "https://b.example.com",
            header: "cf-access-jwt-assertion",
            as: "b/",
          }),
        ],
        proxy: { header: "x-user", groups: "x-groups", from: ["10.0.0.0/8"] },
      },
    },
    now: () => now,
    fetch: issuer.fetch,
  });

  const encoded = (text: string) =>
    new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
  const object = (base: object, names: readonly string[]) => {
    const made: Record<string, unknown> = { ...base };
    for (let i = random.below(3); i > 0; i--) {
      Object.defineProperty(made, random.pick(names), {
        value: random.pick(VALUES),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    const text = JSON.stringify(made);
    return encoded(random.chance(0.1) ? text.slice(0, random.below(text.length)) : text);
  };
  const claims = {
    iss: ISSUER,
    aud: PUBLIC_URL,
    sub: "admin",
    exp: 9e9,
    email: "root@b",
  };
  const token = (): string => {
    const [head = "", payload = "", signature = ""] = random.pick([good, ...others]).split(".");
    const parts = [
      random.chance(0.5) ? head : object({ alg: "ES256", kid: "a" }, HEAD),
      // Never the payload that is signed, unless the signature is changed.
      object(claims, CLAIMS),
      random.chance(0.7) ? signature : random.pick(PIECES),
    ];
    if (random.chance(0.2)) {
      const at = random.below(signature.length - 2);
      const changed = signature.slice(0, at) + (signature[at] === "A" ? "B" : "A") +
        signature.slice(at + 1);
      return [head, payload, changed].join(".");
    }
    if (random.chance(0.1)) parts.splice(random.below(3), 1);
    return parts.join(".");
  };
  const noise = () => Array.from({ length: random.below(6) }, () => random.pick(PIECES)).join("");
  const value = (): string => {
    if (random.chance(0.6)) return `Bearer ${token()}`;
    return random.chance(0.05) ? noise().repeat(random.below(2_000)) : noise();
  };

  const answers = new Map<number, number>();
  for (let index = 0; index < count; index++) {
    const headers = new Headers();
    for (let i = random.below(3); i >= 0; i--) headers.append(random.pick(NAMES), value());
    const request = new Request("http://127.0.0.1/mcp", { headers });
    const hostname = random.pick([
      "192.0.2.1",
      `2001:db8::${random.below(999)}`,
      "",
      "é",
      "unknown",
    ]);
    const said = () => JSON.stringify([seed, index, [...headers]]);
    try {
      const { principal } = await door.admit(request, { remoteAddr: { hostname } }, noise());
      assert.fail(`in as ${principal.id}: ${said()}`);
    } catch (error) {
      if (!(error instanceof Refusal)) throw new Error(said(), { cause: error });
      const { status } = error.toResponse();
      assert.ok([401, 429, 503].includes(status), said());
      answers.set(status, (answers.get(status) ?? 0) + 1);
    }
    // As slowly as it verifies, so that most is looked at.
    now += 50;
    if (random.chance(0.002)) {
      now += random.pick([0, 5_000, 3_700_000]);
      issuer.answer = random.chance(0.5) ? undefined : () =>
        new Response(
          random.pick([
            "",
            "{}",
            "[",
            '{"keys":[{}]}',
            '{"keys":[{"kty":"EC","crv":"P-256","x":1}]}',
          ]),
        );
    }
  }
  return answers;
}
