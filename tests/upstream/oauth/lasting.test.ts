/** Logins over time: whose they are, what hides them, and when they are of no use any more. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpTarget } from "../../../src/config/types.ts";
import { createRedactor, REDACTED } from "../../../src/lib/secrets.ts";
import { type Grant, GrantFile } from "../../../src/upstream/oauth/grants.ts";
import { Logins } from "../../../src/upstream/oauth/logins.ts";
import { directory, FakeIssuer, grantFor, Time } from "./support.ts";

const key = { server: "it", principal: "" };

/** An address that nobody has to look up. */
const url = "https://8.8.8.8/mcp";
const target: HttpTarget = {
  kind: "http",
  url,
  transport: "auto",
  headers: {},
  login: { type: "oauth" },
};

async function open() {
  const place = await directory();
  const [time, issuer, file] = [new Time(), new FakeIssuer(), new GrantFile(place.path)];
  const { fetchFor } = issuer;
  /** Of whom no grant counts. */
  const out = new Set<string>();
  const counts = ({ principal }: Grant) => !out.has(principal);
  const own = new GrantFile(place.path, undefined, { counts });
  const logins = new Logins({ file: own, fetchFor, now: time.now });
  return {
    time,
    issuer,
    file,
    own,
    out,
    logins,
    async [Symbol.asyncDispose]() {
      logins.close();
      await place[Symbol.asyncDispose]();
    },
  };
}

test("a login that others have made is masked from its first use on", async () => {
  await using house = await open();
  const { file, logins, time } = house;
  const it = logins.of("it", target);
  const client = { id: "client", secret: "s3cret-of-the-client", auth: "post" } as const;
  await file.put(grantFor(time, { url, accessToken: "found-access-1", client }));
  await logins.look();
  assert.equal(it.header(), "Bearer found-access-1");
  const { text } = createRedactor();
  assert.equal(text("found-access-1 s3cret-of-the-client"), `${REDACTED} ${REDACTED}`);
});

test("a login whose times are odd is one that can be read again", async () => {
  await using house = await open();
  const { file, logins, time } = house;
  const places = { issuer: "https://8.8.4.4", tokenEndpoint: "https://8.8.4.4/token" };
  const grant = grantFor(time, { url, ...places });
  const tenYears = 10 * 365 * 86_400_000;
  const odd = [[0, 8.64e15, tenYears], [8.64e15, 1, 0], [1_000, 61_000, 60_000]] as const;
  for (const [issuedAt, expiresAt, life] of odd) {
    await logins.receive({ ...grant, issuedAt, expiresAt }, target);
    assert.equal((await file.find(key))?.expiresAt, time.ms + life);
  }
});

test("a login whose token has ended is none that works, unless it has still to be renewed", async () => {
  await using house = await open();
  const { file, issuer, logins, time } = house;
  const it = logins.of("it", target);
  const state = async () => (await logins.status("it", target)).state;
  await file.put(grantFor(time, { url }));
  await it.header();
  time.ms += 3_600_000;
  assert.equal(await state(), "valid", "nobody has asked");
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<Response>()];
  issuer.instead = () => {
    asked.resolve();
    return answer.promise;
  };
  const due = assert.rejects(async () => await it.header(), /HTTP 503/);
  await asked.promise;
  assert.equal(await state(), "needed", "the issuer hangs");
  answer.resolve(Response.json({}, { status: 503 }));
  await due;
  assert.equal(await state(), "needed");
  time.ms += 10_000;
  issuer.instead = undefined;
  assert.equal(await it.header(), "Bearer access-1");
  assert.equal(await state(), "valid");
  await file.put(grantFor(time, { url, refreshToken: undefined, issuedAt: time.ms + 1 }));
  assert.equal(await state(), "valid");
  time.ms += 3_600_000;
  assert.equal(await state(), "needed", "nothing renews it");
});

test("whoever is let in no more is asked for from that moment on by nobody", async () => {
  await using house = await open();
  const { file, logins, out, time } = house;
  const it = logins.of("it", target, "ann");
  await file.put(grantFor(time, { url, principal: "ann" }));
  assert.equal(await it.header(), "Bearer access-0");
  out.add("ann");
  // A reload, and in the same turn one with another key of that name.
  const looked = logins.look(true);
  await assert.rejects(async () => await it.header(), /needs a login/);
  await looked;
  await assert.rejects(async () => await it.header(), /needs a login/);
  out.clear();
  await logins.look(true);
  assert.equal(it.header(), "Bearer access-0");
});

test("nobody is asked for by a login that was being renewed when its key ended", async () => {
  await using house = await open();
  const { file, issuer, logins, out, time } = house;
  const it = logins.of("it", target, "ann");
  await file.put(grantFor(time, { url, principal: "ann", expiresAt: time.ms }));
  issuer.instead = () => {
    out.add("ann");
    return Response.json({ access_token: "of-nobody", expires_in: 3_600 });
  };
  await assert.rejects(async () => await it.header(), /needs a login/);
});

test("a login ends with its key also where more have asked since than are remembered", async () => {
  await using house = await open();
  const { file, logins, out, time } = house;
  const it = logins.of("it", target, "ann");
  await file.put(grantFor(time, { url, principal: "ann" }));
  assert.equal(await it.header(), "Bearer access-0");
  // A connection of hers still holds it.
  for (let n = 0; n < 4_096; n++) logins.of("it", target, `user-${n}`);
  assert.equal(await it.header(), "Bearer access-0");
  out.add("ann");
  await logins.look(true);
  await assert.rejects(async () => await it.header(), /needs a login/);
  out.clear();
  await file.put(grantFor(time, { url, principal: "ann", accessToken: "anew-2", loginAt: 2 }));
  await logins.look();
  assert.equal(await it.header(), "Bearer anew-2");
});

/** Each logs in to it. */
const personal: HttpTarget = { ...target, login: { type: "oauth", per: "user" } };

test("the lists of all come by no login whose key has ended, which no file tells of", async () => {
  await using house = await open();
  const { file, logins, out, time } = house;
  for (const principal of ["ann", "bob"]) {
    await file.put(grantFor(time, { url, principal, accessToken: `of-${principal}` }));
  }
  const lists = logins.of("it", personal);
  assert.equal(await lists.header(), "Bearer of-ann");
  await logins.look();
  out.add("ann");
  // As each second.
  await logins.look();
  await assert.rejects(async () => await lists.header(), /needs a login/);
  assert.equal(await logins.of("it", personal).header(), "Bearer of-bob");
});

test("a login for the lists is found without reading again what is as it was", async () => {
  await using house = await open();
  const { file, logins, own, time } = house;
  let reads = 0;
  const read = own.read.bind(own);
  own.read = () => {
    reads++;
    return read();
  };
  await file.put(grantFor(time, { url, principal: "ann" }));
  const header = () => logins.of("it", personal).header();
  assert.equal(await header(), "Bearer access-0");
  const before = reads;
  for (let n = 0; n < 3; n++) assert.equal(await header(), "Bearer access-0");
  assert.equal(reads, before);
  await file.put(grantFor(time, { url, principal: "ann", accessToken: "anew-1", loginAt: 1 }));
  assert.equal(await header(), "Bearer anew-1", "what has changed is read at once");
});
