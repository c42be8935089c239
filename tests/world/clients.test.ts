import { after, before, describe, test } from "node:test";
import { clientsOf } from "./client.ts";
import { REQUEST_CLIENTS } from "./client-rows.ts";
import { Lab } from "./lab.ts";
import { checkRows } from "./rows.ts";
import { SESSION_CLIENTS } from "./session-rows.ts";

const CLIENTS = [...REQUEST_CLIENTS, ...SESSION_CLIENTS];

// Hooks outside of this would be those of all files that are run as one.
describe("world: clients", () => {
  let lab: Lab;

  before(async () => {
    checkRows(CLIENTS);
    lab = await Lab.start();
  });

  after(() => lab[Symbol.asyncDispose]());

  for (const row of CLIENTS) {
    test(`${row.name}: a client that ${row.does}: ${row.sees}`, async () => {
      await lab.neighbour.beside(async () => {
        for (const [view, client] of clientsOf(lab)) {
          await client().play(row).catch((cause) => {
            throw new Error(`${view}: ${cause.message}`, { cause });
          });
        }
      });
    });
  }

  test("the neighbour has heard nothing of all that", () => lab.neighbour.assertUndisturbed());
});
