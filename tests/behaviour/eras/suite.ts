import { after, test } from "node:test";
import { HttpPeer } from "../../support/clients/legacy-peers.ts";
import { ModernPeer } from "../../support/clients/modern-peer.ts";
import type { Peer, PeerOptions } from "../../support/clients/peer.ts";
import type { Mode } from "../../support/program.ts";
import { Scope } from "../scope.ts";
import {
  type Cell,
  type CellName,
  CELLS,
  type Era,
  type EraRequirementId,
  eraRequirements,
} from "./requirements.ts";
import { eraTopics } from "./topics/all.ts";
import { type EraWorld, startEraWorld } from "./world.ts";

/** What one test in one cell works with. Everything it starts ends with it. */
export interface EraTools extends EraWorld {
  readonly cell: Cell;
  /** A client of the cell's era; its name is unlike that of any other in the file. */
  peer(options?: Partial<PeerOptions>, url?: string): Promise<Peer>;
}

/** Where a topic puts its tests. */
export interface EraSuite {
  /** A test that proves a row, once in each of the row's cells. */
  verifies(id: EraRequirementId, run: (tools: EraTools) => Promise<void>): void;
}

/** Registers every row in every one of its cells, for one way of running the program. */
export function addEraTests(mode: Mode): void {
  const worlds = new Map<Era, Promise<EraWorld>>();
  const worldOf = (era: Era): Promise<EraWorld> => {
    const world = worlds.get(era) ?? startEraWorld(mode, era);
    worlds.set(era, world);
    return world;
  };
  let peers = 0;
  const verifies: EraSuite["verifies"] = (id, run) => {
    for (const [name, behaviour] of cellsOf(id)) {
      const cell = CELLS[name];
      test(`${mode}: ${name}: ${id}: ${behaviour}`, async () => {
        const world = await worldOf(cell.upstream);
        await using scope = new Scope();
        const peer: EraTools["peer"] = async (options = {}, url = world.gateway.url) => {
          const whole = { label: `c${++peers}`, ...options };
          return scope.use(
            cell.client === "modern"
              ? new ModernPeer(url, whole)
              : await HttpPeer.connect(url, whole),
          );
        };
        await run({ ...world, cell, peer });
      });
    }
  };
  for (const topic of eraTopics) topic({ verifies });
  after(async () => {
    await Promise.all([...worlds.values()].map(async (world) => await (await world).close()));
  });
}

/** The cells in which a row is to be proven, with what is proven there. */
export function cellsOf(id: EraRequirementId): readonly (readonly [CellName, string])[] {
  const { behaviour, cells = Object.keys(CELLS) as CellName[] } = eraRequirements.get(id)!;
  return cells.map((name) => [name, behaviour]);
}
