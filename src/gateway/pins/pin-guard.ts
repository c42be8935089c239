import { rename } from "node:fs/promises";
import { clearTimeout, setTimeout } from "node:timers";
import type { Config, ServerConfig } from "../../config/types.ts";
import { directoriesOf, DirectoryWatches } from "../../config/watch-directories.ts";
import type { Endpoint } from "../../gating/endpoint.ts";
import type { Snapshot } from "../../gating/gate.ts";
import { showHidden } from "../../lib/hidden-text.ts";
import { systemReason } from "../../lib/own-file.ts";
import { TokenBucket } from "../../lib/rate-limit.ts";
import { cut, oneLine } from "../../lib/text.ts";
import { getLogger } from "../../log/mod.ts";
import { EMPTY_INVENTORY, type Inventory, LIST_RULES } from "../../protocol/lists.ts";
import { buildRegistry } from "../../registry/build.ts";
import { memoised } from "../../registry/source.ts";
import type { NamedKind, Registry } from "../../registry/types.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { Facts } from "../events.ts";
import {
  definitionsOf,
  judgePins,
  pinDifference,
  pinId,
  whyWaiting,
  withoutHeld,
} from "./definitions.ts";
import {
  DAMAGED,
  type PinBook,
  pinFile,
  type PinMap,
  pinStamp,
  readPins,
  updatePins,
} from "./pin-file.ts";

/** What {@link PinGuard} need of the gateway. */
export interface PinGuardOptions {
  /** Where they are kept; without, they last as long as the gateway. */
  readonly directory: string | undefined;
  /** What cannot watch notices approvals at the next start. */
  readonly runtime: Partial<Pick<Runtime, "watchDirectory">>;
  readonly events: Facts;
  readonly config: () => Config;
  /** What is held back of a server is something else now. */
  readonly onChange: (server: string) => void;
}

/** What a server offers now, and what of it waits. */
interface Offer {
  inventory: Inventory;
  /** What waits is held back. */
  blocks: boolean;
  waiting: PinMap;
  /** What was pinned because nothing was, with texts until it is written. */
  first: PinMap | undefined;
  /** What waits of this inventory, once it is known. */
  compared: Promise<PinMap>;
  /** What was told of, by name and digest. */
  readonly told: Set<string>;
  readonly lines: TokenBucket;
}

/** Milliseconds from a change to its writing, and from an event to a look at the file. */
const DELAY = 200;
/** Milliseconds between two looks where the directory cannot be watched, or two tries to write. */
const POLL = 2_000;
/** So many digests of one server are remembered as told. */
const MOST_TOLD = 5_000;
/** Characters of a comparison in a line of the log, and of what is compared for it. */
const LONGEST_DIFF = 1_000;
const LONGEST_COMPARED = 100_000;
/** A server that no gateway had for so long is forgotten, milliseconds. */
const FORGOTTEN_AFTER = 90 * 24 * 3_600_000;
/** How old it may be when the file says that a gateway has it, milliseconds. */
const SEEN_AGAIN = 24 * 3_600_000;
const NOTHING: PinMap = new Map();

const log = getLogger("mcproxy", "gateway");

/**
 * Compares what servers offer with what was approved: tells of what is another or new, and takes it
 * out of what is shown where the configuration says `block`. One for a gateway, loaded when there is
 * something to compare.
 */
export class PinGuard {
  readonly #path: string | undefined;
  readonly #offers = new Map<string, Offer>();
  /** What the file says, without texts. */
  #book: PinBook = new Map();
  #stamp: string | undefined;
  /** Why the file cannot be used. */
  #problem: string | undefined;
  /** Why it could not be written; each reason is told once. */
  #complaint: string | undefined;
  /** The file was damaged: what is not in it may have been. */
  #isLost = false;
  /** Servers to be written, and whether what waits there is all that waits. */
  readonly #wishes = new Map<string, boolean>();
  readonly #loaded: Promise<void>;
  #working: Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #watches: DirectoryWatches | undefined;
  #isClosed = false;
  /** All that is offered, held back or not. */
  readonly #wholes = new WeakMap<Snapshot, Registry>();

  constructor(private readonly options: PinGuardOptions) {
    const { directory, runtime } = options;
    this.#path = directory && pinFile(directory);
    this.#watches = runtime.watchDirectory && new DirectoryWatches({
      watchDirectory: (...rest) => runtime.watchDirectory!(...rest),
      onChange: () => this.#plan(DELAY),
      onError: (error) => log.warning("Cannot watch the pins: {error}", { error }),
      maxDelay: POLL,
    });
    this.#working = this.#loaded = this.#work();
  }

  /** Why the file cannot be used. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** How many definitions of a server wait, and how many of these are held back. */
  counts(server: string): { readonly waiting: number; readonly held: number } {
    const { waiting: { size: waiting } = NOTHING, blocks = false } = this.#offers.get(server) ?? {};
    return { waiting, held: blocks ? waiting : 0 };
  }

  /** Compares what a server offers, and gives what may be shown of it. */
  async vet({ name, pin }: ServerConfig, inventory: Inventory): Promise<Inventory> {
    const offer = this.#offers.getOrInsertComputed(name, (): Offer => ({
      inventory: EMPTY_INVENTORY,
      blocks: false,
      waiting: NOTHING,
      first: undefined,
      compared: Promise.resolve(NOTHING),
      told: new Set(),
      lines: new TokenBucket({ ratePerSecond: 0.1, burst: 20, now: performance.now() }),
    }));
    const blocks = pin === "block";
    if (offer.inventory !== inventory || offer.blocks !== blocks) {
      Object.assign(offer, { inventory, blocks });
      const before = Promise.all([this.#loaded, offer.compared]);
      offer.compared = before.then(() => this.#compare(name, offer, inventory, true));
    }
    const held = await offer.compared;
    return blocks ? withoutHeld(inventory, held) : inventory;
  }

  /** The server is configured no more, or not to be compared. */
  forget(server: string): void {
    this.#offers.delete(server);
  }

  /** What to tell a client that asks for what is held back; `undefined` where that is not it. */
  heldBack(
    kind: NamedKind,
    name: string,
    { server, profile }: Endpoint,
    snapshot: Snapshot,
  ): string | undefined {
    const isAny = this.#offers.values().some(({ blocks, waiting }) => blocks && waiting.size > 0);
    if (!isAny) return undefined;
    // Names mean what they will mean when nothing is held back.
    const whole = memoised(this.#wholes, snapshot, () => {
      const { servers: all, settings: { profiles, tags } } = this.options.config();
      const servers = snapshot.entries.map((entry) => {
        const { blocks, inventory = entry.inventory } = this.#offers.get(entry.name) ?? {};
        return blocks ? { ...entry, inventory } : entry;
      });
      return buildRegistry({ version: 0, servers, profiles, tags, configured: all.values() });
    });
    const views = server === undefined ? whole.profiles : whole.servers;
    const id = server ?? profile;
    const route = (id === undefined ? whole.aggregate : views.get(id))?.[kind](name);
    const { blocks, waiting } = this.#offers.get(route?.server ?? "") ?? {};
    const item = pinId(kind, route?.name ?? "");
    const pin = blocks && waiting?.get(item);
    if (route === undefined || !pin) return undefined;
    const because = this.#problem === undefined
      ? `${whyWaiting(this.#book.get(route.server)?.pinned, item, pin)}; ` +
        `run "${approval(route.server)}"`
      : "what was approved cannot be read";
    return `${pinName(item)} of ${quoted(route.server)} is held back: ${because}`;
  }

  /** Writes what waits to be written, and ends. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#working;
    await Promise.all(this.#offers.values().map(({ compared }) => compared));
    await this.#write();
    this.#watches?.[Symbol.dispose]();
  }

  async #compare(
    name: string,
    offer: Offer,
    inventory: Inventory,
    isNew: boolean,
  ): Promise<PinMap> {
    const definitions = await definitionsOf(inventory, this.#book.get(name)?.pinned);
    const { blocks, waiting: before } = offer;
    const now = Date.now();
    const isEmpty = LIST_RULES.every(({ kind }) => inventory.lists[kind].items.length === 0);
    const known = this.#book.get(name);
    // Where nobody knows what was approved, all may be another.
    const pinned = known?.pinned ??
      (blocks && (this.#isLost || this.#problem !== undefined) ? NOTHING : undefined);
    // Where nothing is offered yet, there is nothing to hold a server to.
    const isOpen = pinned === undefined && (isEmpty || this.#problem !== undefined);
    const { first, waiting } = judgePins(pinned, definitions);
    // Another list has come, or that of the server that takes its place.
    if (offer.inventory !== inventory) return waiting;
    offer.waiting = waiting;
    if (first !== undefined && !isOpen) {
      offer.first = first;
      this.#book.set(name, { seen: now, pinned: withoutTexts(first), waiting: NOTHING });
    }
    if (this.#problem === undefined) await this.#tell(name, offer, known?.waiting);
    if (this.#problem === undefined && !isOpen) {
      const isSaid = covers(known?.waiting, waiting) && now - (known?.seen ?? 0) < SEEN_AGAIN;
      if (first || !isSaid || (isNew && waiting.size !== known?.waiting.size)) {
        this.#wishes.set(name, isNew || this.#wishes.get(name) === true);
        this.#plan(DELAY);
      }
    }
    for (const [item, { sha256 }] of before) {
      if (pinned?.get(item)?.sha256 !== sha256) continue;
      this.options.events.emit({ kind: "pin", server: name, item, what: "approved" });
      log.info("{item} of server {server} was approved", { item: pinName(item), server: name });
    }
    const isSame = waiting.size === before.size && covers(before, waiting);
    if (blocks && !isNew && !isSame) this.options.onChange(name);
    return waiting;
  }

  async #tell(
    server: string,
    { waiting, told, blocks, lines }: Offer,
    known: PinMap | undefined,
  ): Promise<void> {
    let old: PinMap | undefined;
    for (const [item, pin] of waiting) {
      const one = `${item} ${pin.sha256}`;
      if (told.has(one) || known?.get(item)?.sha256 === pin.sha256) continue;
      if (told.size >= MOST_TOLD) told.clear();
      told.add(one);
      this.options.events.emit({ kind: "pin", server, item, what: blocks ? "held" : "waiting" });
      const verdict = lines.take(performance.now());
      if (!verdict.allowed) continue;
      const pinned = this.#book.get(server)?.pinned;
      // Texts are in the file alone.
      if (pinned?.has(item)) old ??= await this.#texts(server);
      const texts = [old?.get(item)?.text, pin.text] as const;
      const isLong = texts.some((text = "") => text.length > LONGEST_COMPARED);
      log.warning("{item} of server {server} is {what}: {why}; run {command}: {difference}", {
        server,
        item: pinName(item),
        what: blocks ? "held back" : "not as it was approved",
        why: whyWaiting(pinned, item, pin),
        command: `"${approval(server)}"`,
        difference: isLong ? "it is long" : cut(pinDifference(...texts).join(" | "), LONGEST_DIFF),
        suppressed: verdict.suppressed || undefined,
      });
    }
  }

  async #texts(server: string): Promise<PinMap> {
    const read = this.#path === undefined ? undefined : await readPins(this.#path);
    const kept = read?.ok ? read.value.get(server)?.pinned : undefined;
    return kept ?? this.#offers.get(server)?.first ?? NOTHING;
  }

  /** One timer for all: what comes within the delay is done together. */
  #plan(delay: number): void {
    if (this.#isClosed || this.#path === undefined) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#working = this.#working.then(() => this.#work());
    }, delay);
    this.#timer.unref();
  }

  /** Looks whether somebody has written, and writes what is to be written. Never rejects. */
  async #work(): Promise<void> {
    if (this.#path === undefined || this.#isClosed) return;
    if (await pinStamp(this.#path) !== this.#stamp) await this.#read(this.#path);
    await this.#write();
    if (this.#isClosed) return;
    const again = this.#watches?.follow(new Set(await directoriesOf(this.#path)));
    if (again !== undefined) this.#plan(Math.max(again, DELAY));
  }

  async #read(path: string): Promise<void> {
    const stamp = await pinStamp(path);
    const read = await readPins(path);
    let problem = read.ok ? undefined : `Cannot use "${path}": ${read.reason}`;
    if (!read.ok && read.reason === DAMAGED) {
      const aside = `${path}.damaged`;
      const why = await rename(path, aside).then(() => undefined, systemReason);
      log.error("{problem}; it is kept as {aside}, and servers are pinned anew", {
        problem,
        aside: why ?? aside,
      });
      this.#isLost = true;
      problem = undefined;
    } else if (problem !== undefined && problem !== this.#problem) {
      log.error("{problem}; nothing is pinned, and what is to be blocked is held back", {
        problem,
      });
    }
    this.#problem = problem;
    this.#adopt(read.ok ? read.value : new Map(), stamp);
  }

  /** Takes on what the file says. */
  #adopt(book: PinBook, stamp: string): void {
    this.#stamp = stamp;
    const before = this.#book;
    this.#book = new Map(
      [...book].map(([name, { seen, pinned, waiting }]) => [
        name,
        { seen, pinned: withoutTexts(pinned), waiting: withoutTexts(waiting) },
      ]),
    );
    for (const [name, offer] of this.#offers) {
      // What is not written yet counts all the same.
      if (book.has(name)) offer.first = undefined;
      else if (offer.first !== undefined) this.#book.set(name, before.get(name)!);
      offer.compared = offer.compared.then(() =>
        this.#compare(name, offer, offer.inventory, false)
      );
    }
  }

  async #write(): Promise<void> {
    if (this.#path === undefined || this.#wishes.size === 0 || this.#problem !== undefined) return;
    // What is not compared yet may be all there is to be pinned.
    await Promise.all(this.#offers.values().map(({ compared }) => compared));
    const wishes = [...this.#wishes];
    this.#wishes.clear();
    try {
      const now = Date.now();
      const { book, stamp } = await updatePins(this.#path, (book) => {
        const { servers } = this.options.config();
        for (const [name, { seen }] of book) {
          if (seen < now - FORGOTTEN_AFTER && !servers.has(name)) book.delete(name);
        }
        for (const [name, isAll] of wishes) {
          const { pinned: before, waiting = NOTHING } = book.get(name) ?? {};
          const { first, waiting: mine } = this.#offers.get(name) ?? {};
          // Of two gateways that see a server first, one was first.
          const pinned = before ?? first ?? (this.#isLost ? NOTHING : undefined);
          if (pinned === undefined || mine === undefined) continue;
          const all = isAll ? mine : new Map([...waiting, ...mine]);
          book.set(name, { seen: now, pinned, waiting: all });
        }
      });
      this.#complaint = undefined;
      this.#adopt(book, stamp);
    } catch (error) {
      for (const [name, isAll] of wishes) {
        this.#wishes.set(name, isAll || this.#wishes.get(name) === true);
      }
      this.#plan(POLL);
      const reason = systemReason(error);
      if (reason === this.#complaint) return;
      this.#complaint = reason;
      log.warning("Cannot keep pins in {file}: {reason}", { file: this.#path, reason });
    }
  }
}

/** Whether all of `some` is in `pins`, as it is. */
function covers(pins: PinMap = NOTHING, some: PinMap): boolean {
  return some.entries().every(([id, { sha256 }]) => pins.get(id)?.sha256 === sha256);
}

function withoutTexts(pins: PinMap): PinMap {
  return new Map(pins.entries().map(([id, { sha256, raw }]) => [id, { sha256, raw }]));
}

function quoted(name: string): string {
  return JSON.stringify(oneLine(showHidden(cut(name, 200))));
}

/** `Tool "x"`; nothing in it hides itself. */
export function pinName(id: string): string {
  const [kind = "", ...name] = id.split(" ");
  const noun = kind.charAt(0).toUpperCase() + kind.slice(1);
  return name.length === 0 ? noun : `${noun} ${quoted(name.join(" "))}`;
}

/** What a person types who looks at what waits of a server. */
function approval(server: string): string {
  return `mcproxy approve ${/^[\w.@-]+$/.test(server) ? server : quoted(server)}`;
}
