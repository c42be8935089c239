/** Who may see what goes on: the rule, and that every path keeps to it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Asker, isOthersPage, whyNot } from "../../../src/front/api/who.ts";
import { House, inScope, keysOf, LOCAL } from "../access/house.ts";

const LOCAL_HOST = { host: "localhost:12009" };

interface Given extends Partial<Omit<Asker, "headers" | "settings">> {
  readonly headers?: Record<string, string>;
  readonly hasAuth?: boolean;
  readonly mode?: "auto" | "on" | "off";
}

function asker({ headers = LOCAL_HOST, hasAuth = false, mode = "auto", ...given }: Given): Asker {
  const auth = hasAuth ? { keys: [] } : undefined;
  return {
    ...{ isAdmitted: false, address: "127.0.0.1" },
    ...given,
    settings: { auth, publicUrl: undefined, dashboard: { mode, edit: false } },
    headers: new Headers(headers),
  };
}

const RULES: readonly (readonly [Given, number | undefined])[] = [
  [{}, undefined],
  [{ address: "::1", headers: { host: "[::1]:12009" } }, undefined],
  [{ address: "127.9.9.9", headers: { host: "127.0.0.1" } }, undefined],
  [{ address: "10.0.0.1" }, 403],
  [{ address: undefined }, 403],
  [{ headers: { host: "mcp.example.com" } }, 403],
  [{ headers: { host: "10.0.0.1:12009" } }, 403],
  [{ headers: {} }, 403],
  [{ headers: { ...LOCAL_HOST, forwarded: "for=1.2.3.4" } }, 403],
  [{ headers: { ...LOCAL_HOST, "x-forwarded-for": "127.0.0.1" } }, 403],
  [{ headers: { ...LOCAL_HOST, "X-Forwarded-Proto": "https" } }, 403],
  [{ headers: { ...LOCAL_HOST, "X-Real-IP": "127.0.0.1" } }, 403],
  [{ headers: { ...LOCAL_HOST, via: "1.1 proxy" } }, 403],
  [{ headers: { ...LOCAL_HOST, "CF-Connecting-IP": "1.2.3.4" } }, 403],
  [{ headers: { ...LOCAL_HOST, "True-Client-IP": "1.2.3.4" } }, 403],
  [{ headers: { ...LOCAL_HOST, "x-viable": "1" } }, undefined],
  [{ mode: "on", address: "10.0.0.1", headers: { host: "mcp.example.com" } }, undefined],
  [{ mode: "on", headers: { ...LOCAL_HOST, forwarded: "for=1.2.3.4" } }, undefined],
  [{ mode: "off" }, 404],
  [{ mode: "off", isAdmitted: true, address: "10.0.0.1" }, undefined],
  [{ isAdmitted: true, address: "10.0.0.1" }, undefined],
  [{ hasAuth: true, isAdmitted: true, mode: "off", address: undefined }, undefined],
  [{ hasAuth: true }, 503],
  [{ hasAuth: true, mode: "on" }, 503],
];

for (const [given, expected] of RULES) {
  test(`who may see: ${JSON.stringify(given)} is ${expected ?? "shown it"}`, () => {
    assert.equal(whyNot(asker(given))?.status, expected);
  });
}

const PAGES: readonly (readonly [Record<string, string>, string | undefined, boolean])[] = [
  [{}, undefined, false],
  [{ origin: "http://localhost:12009" }, undefined, false],
  [{ origin: "http://localhost:3000" }, undefined, true],
  [{ origin: "http://127.0.0.1:12009" }, undefined, true],
  [{ origin: "null" }, undefined, true],
  [{ origin: "https://mcp.example.com" }, "https://mcp.example.com/gw", false],
  [{ origin: "http://mcp.example.com" }, "https://mcp.example.com/gw", true],
  [{ origin: "https://evil.example" }, "https://mcp.example.com", true],
  [{ "sec-fetch-site": "same-origin" }, undefined, false],
  [{ "sec-fetch-site": "none" }, undefined, false],
  [{ "sec-fetch-site": "same-site" }, undefined, true],
  [{ "sec-fetch-site": "cross-site" }, undefined, true],
];

for (const [headers, publicUrl, expected] of PAGES) {
  test(`a page with ${JSON.stringify(headers)} is ${expected ? "another's" : "our own"}`, () => {
    assert.equal(isOthersPage(new Headers({ ...LOCAL_HOST, ...headers }), publicUrl), expected);
  });
}

/** Every path, and a method of each. */
export const PATHS: readonly (readonly [method: string, path: string, body?: object])[] = [
  ["GET", "/api/overview"],
  ["GET", "/api/servers/a"],
  ["POST", "/api/servers/a/restart", {}],
  ["GET", "/api/tools/a_echo"],
  ["GET", "/api/calls"],
  ["GET", "/api/calls/x"],
  ["GET", "/api/usage"],
  ["GET", "/api/advice"],
  ["GET", "/api/problems"],
  ["POST", "/api/problems/x", { state: "done" }],
  ["POST", "/api/record", { for: "1s" }],
  ["GET", "/api/alerts"],
  ["GET", "/api/log"],
  ["GET", "/api/config"],
  ["PUT", "/api/config", {}],
  ["POST", "/api/config/check", { text: "{}" }],
  ["GET", "/api/events"],
];

async function statusOf(asked: Promise<Response>): Promise<number> {
  const response = await asked;
  await response.body?.cancel();
  return response.status;
}

const asking = (house: House, from?: string) =>
(
  [method, path, body]: typeof PATHS[number],
  more: Readonly<Record<string, string>> = {},
  as?: string,
) =>
  house.ask(path, {
    method,
    from,
    as,
    headers: { ...body && { "content-type": "application/json" }, ...more },
    body: body === undefined ? null : JSON.stringify(body),
  });

test(
  "every path answers this machine alone, and no page of others",
  inScope(async (scope) => {
    const house = await House.open(scope, { allowedOrigins: ["*"], allowedHosts: ["h.example"] });
    const local = asking(house, "127.0.0.1");
    for (const one of PATHS) {
      const told = one.join(" ");
      // What changes something takes a key, also of who is on this machine.
      const isChange = one[0] !== "GET";
      const shut = isChange ? 401 : 403;
      if (isChange) assert.equal(await statusOf(local(one)), 401, told);
      const as = isChange ? LOCAL.as : undefined;
      const own = await local(one, {}, as);
      assert.ok(![401, 503].includes(own.status), told);
      for (const name of ["access-control-allow-origin", "access-control-allow-headers"]) {
        assert.equal(own.headers.get(name), null);
      }
      assert.match(own.headers.get("cache-control") ?? "", /no-store/, told);
      assert.equal(own.headers.get("x-content-type-options"), "nosniff", told);
      assert.equal(own.headers.get("cross-origin-resource-policy"), "same-origin", told);
      await own.body?.cancel();
      assert.equal(await statusOf(asking(house, "10.0.0.1")(one)), shut, told);
      assert.equal(await statusOf(local(one, { host: "h.example" })), shut, told);
      assert.equal(await statusOf(local(one, { "x-forwarded-for": "1.2.3.4" })), shut, told);
      for (const origin of ["http://localhost:3000", "https://evil.example", "null"]) {
        const foreign = await local(one, { origin }, as);
        assert.equal(foreign.status, 403, `${told} from ${origin}`);
        assert.equal(foreign.headers.get("access-control-allow-origin"), null);
        await foreign.body?.cancel();
        const preflight = await house.ask(one[1], {
          method: "OPTIONS",
          from: "127.0.0.1",
          headers: { origin, "access-control-request-method": one[0] },
        });
        assert.ok(preflight.status >= 400, `${told} preflight from ${origin}`);
        assert.equal(preflight.headers.get("access-control-allow-origin"), null);
        await preflight.body?.cancel();
      }
      assert.equal(await statusOf(local(one, { "sec-fetch-site": "same-site" }, as)), 403, told);
    }
  }),
);

test(
  "a dashboard that is off, or on, is so for every path",
  inScope(async (scope) => {
    const house = await House.open(scope, { dashboard: "off" }, undefined, {
      localKey: "mcproxy_l",
    });
    for (const one of PATHS) {
      const told = one.join(" ");
      const shut = one[0] === "GET" ? 404 : 401;
      assert.equal(await statusOf(asking(house, "127.0.0.1")(one)), shut, told);
      const key = { authorization: "Bearer mcproxy_l" };
      const byKey = await statusOf(asking(house, "10.0.0.1")(one, key));
      const isUnknown = one[1].endsWith("/x");
      assert.equal(byKey === 404, isUnknown, `${told} with the local key: ${byKey}`);
      const wrong = { authorization: "Bearer mcproxy_wrong" };
      assert.ok([401, 429].includes(await statusOf(asking(house, "10.0.0.1")(one, wrong))), told);
    }
    house.reload({ dashboard: "on" });
    for (const one of PATHS) {
      const status = await statusOf(asking(house, "10.0.0.1")(one));
      const expected = one[0] === "GET" && one[1].endsWith("/x");
      assert.equal(status === 404, expected, `${one.join(" ")}: ${status}`);
      assert.equal(status === 401, one[0] !== "GET", `${one.join(" ")}: ${status}`);
    }
  }),
);

test(
  "with auth every path is for who may do everything",
  inScope(async (scope) => {
    const access = {
      ...{ "key:all": "*", "key:one": ["pa", "/api/overview"] },
      "key:else": ["pa", "/servers/a/mcp", "/api/status"],
    };
    const house = await House.open(scope, { auth: { keys: keysOf("all", "one", "else") }, access });
    const ask = asking(house, "127.0.0.1");
    for (const one of PATHS) {
      const told = one.join(" ");
      assert.equal(await statusOf(ask(one)), 401, told);
      const given = one[1] === "/api/overview" ? 200 : 403;
      assert.equal(await statusOf(ask(one, {}, "one")), given, told);
      assert.equal(await statusOf(ask(one, {}, "else")), 403, told);
      const all = await statusOf(ask(one, {}, "all"));
      assert.ok(![401, 503].includes(all), `${told}: ${all}`);
      assert.equal(await statusOf(ask(one, { origin: "http://localhost:3000" }, "all")), 403, told);
    }
  }),
);

test(
  "a method that every object has is none of a path",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    for (const method of ["constructor", "toString", "valueOf", "hasOwnProperty"]) {
      // Of one runtime it is a GET already.
      if (new Request("http://localhost", { method }).method === "GET") continue;
      const response = await house.ask("/api/overview", { ...LOCAL, method });
      const text = await response.text();
      assert.equal(response.status, 405, `${method}: ${text}`);
    }
  }),
);
