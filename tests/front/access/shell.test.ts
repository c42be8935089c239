/** The shell of the dashboard has no data, so nobody is asked who he is for it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { loadOptions } from "../../../src/config/schema.ts";
import { House, inScope, keysOf } from "./house.ts";

await loadOptions("dashboard");

const AUTH = { keys: keysOf("ann") };
const PAGE = { headers: { accept: "text/html,*/*;q=0.8" } };

test(
  "a browser gets the shell without a credential, a program what it always got",
  inScope(async (scope) => {
    const house = await House.open(scope, { auth: AUTH });
    for (const path of ["/", "/ui/app.js", "/ui/styles.css"]) {
      const told = await house.ask(path, PAGE);
      assert.equal(told.status, 200, path);
      assert.equal(told.headers.get("access-control-allow-origin"), null);
    }
    assert.match(await (await house.ask("/", PAGE)).text(), /^<!DOCTYPE html>/);
    assert.equal((await house.ask("/")).status, 401);
    assert.equal((await house.ask("/api/status", PAGE)).status, 401);
    assert.equal((await house.ask("/ui/nothing.js", PAGE)).status, 404);
    assert.equal((await house.ask("/ui/app.js", { ...PAGE, method: "POST" })).status, 405);

    house.reload({ auth: AUTH, dashboard: "off" });
    assert.equal((await house.ask("/", PAGE)).status, 401);
    assert.equal((await house.ask("/ui/app.js", PAGE)).status, 401);
    house.reload({ dashboard: "off" });
    assert.equal((await house.ask("/ui/app.js", PAGE)).status, 404);
    assert.equal((await (await house.ask("/", PAGE)).json()).name, "mcproxy");
  }),
);
