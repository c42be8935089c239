/** Tokens that are had anew before they end: when, by whom, and what becomes of refusals. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { LoginError } from "../../../src/upstream/transport/failures.ts";
import type { HttpTarget, LoginConfig } from "../../../src/config/types.ts";
import { createRedactor } from "../../../src/lib/secrets.ts";
import { fileStamp } from "../../../src/lib/own-file.ts";
import { type Grant, GrantFile, type GrantKey } from "../../../src/upstream/oauth/grants.ts";
import { ForbiddenUrlError } from "../../../src/upstream/oauth/guard.ts";
import { Logins } from "../../../src/upstream/oauth/logins.ts";
import {
  type Directory,
  directory,
  FakeIssuer,
  grantFor,
  ISSUER,
  Time,
  URL_OF_IT,
} from "./support.ts";

const BEARER = 'Bearer resource_metadata="https://mcp.example.com/x"';
const oauth: LoginConfig = { type: "oauth" };

class House {
  readonly time = new Time();
  readonly issuer = new FakeIssuer();
  readonly file: GrantFile;
  readonly news: string[] = [];
  readonly #all: Logins[] = [];

  constructor(private readonly place: Directory) {
    this.file = new GrantFile(place.path);
  }

  /** As another process has them. */
  logins(): Logins {
    const { issuer: { fetchFor }, time: { now } } = this;
    const onGrant = (what: string, { server, principal }: GrantKey) =>
      void this.news.push([what, server, principal].join(" ").trim());
    const logins = new Logins({ file: new GrantFile(this.place.path), fetchFor, now, onGrant });
    this.#all.push(logins);
    return logins;
  }

  credential(login: LoginConfig | null = oauth, url = URL_OF_IT, logins = this.logins()) {
    const target: HttpTarget = {
      kind: "http",
      url,
      transport: "auto",
      headers: {},
      ...(login === null ? {} : { login }),
    };
    return logins.of("it", target);
  }

  async [Symbol.asyncDispose]() {
    for (const one of this.#all) one.close();
    await this.place[Symbol.asyncDispose]();
  }
}

async function open(): Promise<House> {
  return new House(await directory());
}

/** The error, which must be about a login. */
async function loginError(work: () => unknown): Promise<LoginError> {
  const error = await (async () => await work())().then(() => undefined, (error) => error);
  assert.ok(error instanceof LoginError, String(error));
  return error;
}

test("a grant is used until its last minute, then renewed once for all who ask", async () => {
  await using house = await open();
  const { file, issuer, time } = house;
  await file.put(grantFor(time));
  const it = house.credential();
  assert.equal(await it.header(), "Bearer access-0");
  assert.equal(it.header(), "Bearer access-0", "at once");
  time.ms += 3_540_000 - 1;
  assert.equal(it.header(), "Bearer access-0");
  time.ms += 1;
  const all = await Promise.all(Array.from({ length: 5 }, () => it.header()));
  assert.deepEqual(new Set(all), new Set(["Bearer access-1"]));
  assert.equal(issuer.asked.length, 1);
  assert.deepEqual(Object.fromEntries(issuer.asked[0]!.form), {
    grant_type: "refresh_token",
    refresh_token: "refresh-0",
    resource: URL_OF_IT,
    client_id: "client",
  });
  assert.deepEqual(issuer.trusted, [[URL_OF_IT]]);
  const kept = await file.find({ server: "it", principal: "" });
  assert.equal(kept?.accessToken, "access-1");
  assert.equal(kept?.refreshToken, "refresh-1");
  assert.equal(kept?.scope, "read", "what is not said anew stays");
  // A tenth of a short life.
  issuer.life = "10";
  time.ms = kept!.expiresAt!;
  assert.equal(await it.header(), "Bearer access-2");
  time.ms += 8_999;
  assert.equal(it.header(), "Bearer access-2");
  time.ms += 1;
  const due = it.header();
  assert.ok(due instanceof Promise);
  assert.equal(await due, "Bearer access-3");
});

test("two processes refresh once, by the file", async () => {
  await using house = await open();
  await house.file.put(grantFor(house.time, { expiresAt: house.time.ms }));
  const all = [house.credential(), house.credential(), house.credential()];
  const headers = await Promise.all(all.flatMap((one) => [one.header(), one.header()]));
  assert.deepEqual(new Set(headers), new Set(["Bearer access-1"]));
  assert.equal(house.issuer.asked.length, 1);
});

test("without a grant nobody is asked, until there is one for this very address", async () => {
  await using house = await open();
  const { file, time } = house;
  const logins = house.logins();
  const it = house.credential(oauth, URL_OF_IT, logins);
  const error = await loginError(() => it.header());
  assert.equal(error.message, 'Server "it" needs a login: run "mcproxy login it"');
  await file.put(grantFor(time, { url: "https://other.example.com/mcp" }));
  await logins.look();
  await loginError(() => it.header());
  await file.put(grantFor(time, { url: "https://mcp.example.com/other" }));
  await logins.look();
  await loginError(() => it.header());
  await file.put(grantFor(time, { url: `${URL_OF_IT}/?x=1` }));
  await logins.look();
  await error.granted;
  assert.equal(it.header(), "Bearer access-0");
  // With more rights, from another login.
  await file.put(grantFor(time, { accessToken: "wider", issuedAt: time.ms + 1 }));
  await logins.look();
  assert.equal(it.header(), "Bearer wider");
  await file.remove({ server: "it", principal: "" });
  await logins.look();
  await loginError(() => it.header());
});

test("a server of which nothing is said is asked without, until it wants a login", async () => {
  await using house = await open();
  const plain = house.credential(null);
  assert.equal(plain.header(), undefined);
  // It may want something else.
  assert.equal(await plain.refused(undefined, null), false);
  assert.equal(await plain.refused(undefined, 'Basic realm="x"'), false);
  assert.equal(plain.header(), undefined);
  await loginError(() => plain.refused(undefined, BEARER));
  await loginError(() => plain.header());
  await house.file.put(grantFor(house.time));
  const other = house.credential(null);
  assert.equal(await other.refused(undefined, null), true, "there is a grant");
  assert.equal(other.header(), "Bearer access-0");
});

for (const code of ["invalid_grant", "invalid_client", "unauthorized_client"]) {
  test(`${code} ends a grant, which is kept with the reason and not tried again`, async () => {
    await using house = await open();
    const { file, issuer, time } = house;
    await file.put(grantFor(time, { expiresAt: time.ms }));
    issuer.instead = () => Response.json({ error: code }, { status: 400 });
    const logins = house.logins();
    const it = house.credential(oauth, URL_OF_IT, logins);
    for (let n = 0; n < 3; n++) {
      const { message } = await loginError(() => it.header());
      const text = `refused its login on 2027-01-15 (${code}): run "mcproxy login it"`;
      assert.equal(message, `Server "it" ${text}`);
    }
    assert.equal(issuer.asked.length, 1);
    const kept = await file.find({ server: "it", principal: "" });
    assert.deepEqual(kept?.dead, { reason: code, at: time.ms });
    const { granted } = await loginError(() => it.header());
    await file.put(grantFor(time, { issuedAt: time.ms + 1, accessToken: "anew" }));
    await logins.look();
    await granted;
    assert.equal(it.header(), "Bearer anew");
  });
}

test("an issuer may give the same token again, for longer", async () => {
  await using house = await open();
  const { file, issuer, time } = house;
  await file.put(grantFor(time));
  const it = house.credential();
  assert.equal(await it.header(), "Bearer access-0");
  issuer.instead = () => Response.json({ access_token: "access-0", expires_in: 3_600 });
  time.ms += 3_600_000;
  assert.equal(await it.header(), "Bearer access-0");
  time.ms += 3_539_999;
  assert.equal(it.header(), "Bearer access-0", "at once");
  assert.equal(issuer.asked.length, 1);
});

test("somebody who logs in while a refresh is refused has the say", async () => {
  await using house = await open();
  const { file, issuer, time } = house;
  await file.put(grantFor(time, { expiresAt: time.ms }));
  issuer.instead = async () => {
    await file.put(grantFor(time, { issuedAt: time.ms + 1, accessToken: "anew" }));
    return Response.json({ error: "invalid_grant" }, { status: 400 });
  };
  assert.equal(await house.credential().header(), "Bearer anew");
  assert.equal((await file.find({ server: "it", principal: "" }))?.dead, undefined);
});

for (const isNoticed of [true, false]) {
  const when = isNoticed ? "that is noticed meanwhile" : "of which nobody has heard yet";
  test(`a renewal takes the place of no login as somebody else ${when}`, async () => {
    await using house = await open();
    const { file, issuer, time } = house;
    await file.put(grantFor(time, { loginAt: 1, expiresAt: time.ms }));
    const logins = house.logins();
    const it = house.credential(oauth, URL_OF_IT, logins);
    issuer.instead = async () => {
      const [issuedAt, loginAt] = [time.ms, time.ms];
      await file.put(grantFor(time, { accessToken: "of-other", issuedAt, loginAt }));
      if (isNoticed) await logins.look();
      time.ms += 1;
      return Response.json({ access_token: "of-first", expires_in: 3_600 });
    };
    const header = await it.header();
    if (isNoticed) assert.equal(header, "Bearer of-other");
    await logins.look();
    assert.equal(it.header(), "Bearer of-other");
    assert.equal((await file.find(key))?.accessToken, "of-other");
  });
}

test("who logs in while an older token is refused is asked for at once", async () => {
  await using house = await open();
  const { file, issuer: { fetchFor }, time } = house;
  await file.put(grantFor(time, { refreshToken: undefined }));
  const logins = new Logins({ file, fetchFor, now: time.now });
  const credential = house.credential(oauth, URL_OF_IT, logins);
  const header = await credential.header();
  const replace = file.replace.bind(file);
  file.replace = async (grant) => {
    await replace(grant);
    await file.put(grantFor(time, { accessToken: "newer", issuedAt: time.ms + 1 }));
    await logins.look();
  };
  await loginError(() => credential.refused(header, BEARER));
  assert.equal(credential.header(), "Bearer newer");
  logins.close();
});

test("while an issuer is not there a good token is used, and it is asked less and less often", async () => {
  await using house = await open();
  const { file, issuer, time } = house;
  await file.put(grantFor(time));
  const it = house.credential();
  time.ms += 3_550_000;
  issuer.instead = () => Response.json({}, { status: 503 });
  assert.equal(await it.header(), "Bearer access-0");
  assert.equal(await it.header(), "Bearer access-0");
  assert.equal(issuer.asked.length, 1);
  time.ms += 50_000; // its end
  await assert.rejects(async () => await it.header(), /gets no token: .* answered HTTP 503/);
  assert.equal(issuer.asked.length, 2);
  for (const [pause, asked] of [[19_999, 2], [1, 3], [39_999, 3], [1, 4], [80_000, 5]]) {
    time.ms += pause!;
    await assert.rejects(async () => await it.header(), /HTTP 503/);
    assert.equal(issuer.asked.length, asked);
  }
  time.ms += 300_000;
  issuer.instead = undefined;
  assert.equal(await it.header(), "Bearer access-1");
});

test("a fresh token that is refused is renewed once a minute; the second refusal ends the grant", async () => {
  await using house = await open();
  const { file, issuer, time } = house;
  await file.put(grantFor(time));
  const it = house.credential();
  const first = await it.header();
  const again = await Promise.all([1, 2, 3].map(() => it.refused(first, BEARER)));
  assert.deepEqual(again, [true, true, true]);
  assert.equal(issuer.asked.length, 1);
  assert.equal(it.header(), "Bearer access-1");
  assert.equal(await it.refused(first, BEARER), true, "late news of the old one");
  time.ms += 60_000;
  assert.equal(await it.refused("Bearer access-1", BEARER), true);
  assert.equal(it.header(), "Bearer access-2");
  time.ms += 59_999;
  const error = await loginError(() => it.refused("Bearer access-2", BEARER));
  assert.match(error.message, /\(HTTP 401\)/);
  await loginError(() => it.refused("Bearer access-2", BEARER));
  await loginError(() => it.header());
  assert.equal(issuer.asked.length, 2);
});

test("a grant that cannot be renewed ends with its token", async () => {
  await using house = await open();
  await house.file.put(grantFor(house.time, { refreshToken: undefined }));
  const it = house.credential();
  assert.equal(await it.header(), "Bearer access-0");
  house.time.ms += 3_600_000;
  assert.match((await loginError(() => it.header())).message, /\(expired\)/);
});

test("rights that do not do are named, as far as they can stand in a command", async () => {
  await using house = await open();
  await house.file.put(grantFor(house.time));
  const it = house.credential();
  await it.header();
  const said = (challenge: string | null) => it.lacks(challenge)?.message;
  assert.equal(
    said('Bearer error="insufficient_scope", scope="repo gist read"'),
    `Server "it" needs more rights: run "mcproxy login it --scope 'read repo gist'"`,
  );
  assert.equal(
    said(`Bearer error="insufficient_scope", scope="'; rm -rf / --x ok $(x)"`),
    `Server "it" needs more rights: run "mcproxy login it --scope 'read rm / ok'"`,
  );
  assert.equal(said('Bearer error="invalid_token"'), undefined);
  assert.equal(said(null), undefined);
});

test("the gateway's own tokens come from the issuer of the file, and stay in memory", async () => {
  await using house = await open();
  const { issuer, time, file } = house;
  const login: LoginConfig = {
    type: "client-credentials",
    issuer: ISSUER,
    clientId: "gw",
    clientSecret: "s3cret-of-gw",
    scope: "a b",
  };
  const logins = house.logins();
  const it = house.credential(login, `${URL_OF_IT}?key=hidden`, logins);
  assert.equal(house.credential(login, `${URL_OF_IT}?key=hidden`, logins), it);
  const all = await Promise.all(Array.from({ length: 5 }, () => it.header()));
  assert.deepEqual(new Set(all), new Set(["Bearer access-1"]));
  assert.equal(issuer.asked.length, 1);
  assert.deepEqual(Object.fromEntries(issuer.asked[0]!.form), {
    grant_type: "client_credentials",
    scope: "a b",
    resource: URL_OF_IT,
    client_id: "gw",
    client_secret: "s3cret-of-gw",
  });
  assert.deepEqual(issuer.trusted, [[`${URL_OF_IT}?key=hidden`, ISSUER]]);
  assert.equal(await fileStamp(file.path), "");
  // A refusal by the server is tried once with another token, and stays what it is.
  assert.equal(await it.refused("Bearer access-1", BEARER), true);
  assert.equal(await it.refused("Bearer access-2", BEARER), false);
  assert.match(it.lacks('Bearer error="insufficient_scope"')!.message, /"scope" in its "auth"/);
  time.ms += 3_540_000;
  issuer.instead = () => Response.json({ error: "invalid_client" }, { status: 401 });
  assert.equal(await it.header(), "Bearer access-2", "to its end");
  time.ms += 60_000;
  const error = await loginError(() => it.header());
  assert.match(error.message, /gets no token: .*"invalid_client"/);
  assert.equal(error.granted, undefined);
  const { length } = issuer.asked;
  await loginError(() => it.header());
  assert.equal(issuer.asked.length, length, "it is asked again after a pause only");
});

test("the tokens of all addresses of a server are masked, however many it has", async () => {
  await using house = await open();
  const login = { type: "client-credentials", issuer: ISSUER, clientId: "gw", clientSecret: "s" };
  const logins = house.logins();
  const urls = Array.from({ length: 9 }, (_, n) => `https://${n}.example.com/mcp`);
  const tokens: string[] = [];
  for (const url of urls) {
    house.issuer.instead = () =>
      Response.json({ access_token: `by-client-${url.length}-${tokens.length}` });
    tokens.push(String(await house.credential(login as LoginConfig, url, logins).header()));
  }
  const text = tokens.map((token) => token.replace("Bearer ", "")).join(" ");
  assert.equal(createRedactor().text(text), urls.map(() => "[redacted]").join(" "));
});

const key = { server: "it", principal: "" };
/** Addresses that nobody has to look up. */
const TARGET: HttpTarget = {
  kind: "http",
  url: "https://8.8.8.8/mcp",
  transport: "auto",
  headers: {},
  login: { type: "oauth" },
};

test("a login that is handed over is judged, kept by our own clock, and used at once", async () => {
  await using house = await open();
  const { file, time } = house;
  const logins = house.logins();
  const it = logins.of("it", TARGET);
  const { granted } = await loginError(() => it.header());
  const grant = grantFor(time, {
    url: "https://8.8.8.8/mcp/",
    issuer: "https://8.8.4.4",
    tokenEndpoint: "https://8.8.4.4/token",
    issuedAt: time.ms - 9_000_000,
    expiresAt: time.ms - 9_000_000 + 60_000,
    dead: { reason: "invalid_grant", at: 1 },
  });
  const wrong: readonly Partial<Grant>[] = [
    { url: "https://8.8.4.4/mcp" },
    { url: "https://8.8.8.8/other" },
    { issuer: "https://10.0.0.1" },
    { issuer: "http://8.8.4.4" },
    { tokenEndpoint: "https://127.0.0.1/token" },
    { tokenEndpoint: "https://169.254.169.254/token" },
    { tokenEndpoint: "https://me:pw@8.8.4.4/token" },
  ];
  for (const one of wrong) {
    const refused = logins.receive({ ...grant, ...one }, TARGET);
    await assert.rejects(refused, ForbiddenUrlError, JSON.stringify(one));
  }
  assert.equal(await fileStamp(file.path), "");
  await logins.receive(grant, TARGET);
  await granted;
  assert.equal(it.header(), "Bearer access-0");
  const { dead, issuedAt, expiresAt } = (await file.find(key))!;
  assert.deepEqual([dead, issuedAt, expiresAt], [undefined, time.ms, time.ms + 60_000]);
  assert.deepEqual(house.news, []);
  // The issuer of the configuration is trusted, wherever it is.
  const home = { ...TARGET, login: { type: "oauth", issuer: "https://10.0.0.1" } } as const;
  const ofHome = { ...grant, issuer: "https://10.0.0.1", tokenEndpoint: "https://10.0.0.2/token" };
  await logins.receive(ofHome, home);
  await assert.rejects(new Logins().receive(grant, TARGET), /no place for logins/);
});

test("a login that is ended is gone at once, and its issuer is told where that is possible", async () => {
  await using house = await open();
  const { file, issuer } = house;
  const logins = house.logins();
  const it = house.credential(oauth, URL_OF_IT, logins);
  await file.put(grantFor(house.time));
  await file.put(grantFor(house.time, { principal: "alice", accessToken: "of-alice-1" }));
  assert.equal(await it.header(), "Bearer access-0");
  assert.equal(await logins.forget(key, { ...TARGET, url: URL_OF_IT }), true);
  assert.deepEqual(issuer.trusted.at(-1), [URL_OF_IT]);
  assert.deepEqual(issuer.asked.map(({ url }) => url), [`${ISSUER}/revoke`]);
  const { form } = issuer.asked[0]!;
  assert.deepEqual([form.get("token"), form.get("client_id")], ["refresh-0", "client"]);
  await loginError(() => it.header());
  assert.equal(await logins.forget(key), false);
  issuer.instead = () => Promise.reject(new Error("gone"));
  assert.equal(await logins.forget({ ...key, principal: "alice" }), true);
  assert.deepEqual(issuer.trusted.at(-1), [], "of a server that nobody knows only what is public");
  assert.deepEqual(await file.read(), []);
});

test("each principal has a login of their own", async () => {
  await using house = await open();
  const { file, time } = house;
  const logins = house.logins();
  const target = { ...TARGET, url: URL_OF_IT };
  const [own, alices, bobs] = ["", "alice", "bob"].map((one) => logins.of("it", target, one));
  assert.equal(logins.of("it", { ...target }, "alice"), alices);
  const { granted } = await loginError(() => alices!.header());
  await file.put(grantFor(time, { principal: "alice", accessToken: "of-alice-1" }));
  await logins.look();
  await granted;
  assert.equal(alices!.header(), "Bearer of-alice-1");
  for (const other of [own, bobs]) await loginError(() => other!.header());
  await file.put(grantFor(time, { principal: "bob", accessToken: "of-bob-1" }));
  assert.equal(await bobs!.header(), "Bearer of-bob-1");
  time.ms += 3_600_000;
  assert.deepEqual(await Promise.all([alices!.header(), alices!.header()]), [
    "Bearer access-1",
    "Bearer access-1",
  ]);
  assert.equal((await file.find({ ...key, principal: "bob" }))?.accessToken, "of-bob-1");
  assert.deepEqual(house.news, ["refreshed it alice"]);
});

test("what there is to be known of a login has no secrets in it", async () => {
  await using house = await open();
  const { file, issuer, time } = house;
  const logins = house.logins();
  const target = { ...TARGET, url: URL_OF_IT };
  const { login: _, ...unsaid } = target;
  const state = async (one: HttpTarget = target) => (await logins.status("it", one)).state;
  assert.deepEqual([await state(unsaid), await state()], ["none", "needed"]);
  await file.put(grantFor(time));
  assert.deepEqual([await state(unsaid), await state()], ["valid", "valid"]);
  const expiresAt = time.ms + 3_600_000;
  const status = { state: "valid", scope: "read", expiresAt, dead: undefined };
  assert.deepEqual(await logins.status("it", target), status);
  time.ms += 3_600_000;
  issuer.instead = () => Response.json({ error: "invalid_grant" }, { status: 400 });
  await loginError(() => logins.of("it", target).header());
  const { state: now, dead } = await logins.status("it", target);
  assert.deepEqual([now, dead], ["dead", { reason: "invalid_grant", at: time.ms }]);
  assert.deepEqual(house.news, ["dead it"]);
  const login = { type: "client-credentials", issuer: ISSUER, clientId: "gw" } as const;
  const own = { ...target, login: { ...login, clientSecret: "s3cret-of-gw" } };
  assert.equal((await logins.status("it", own)).state, "none");
});
