import { clearInterval, setInterval } from "node:timers";
import type { ServerConfig } from "../../config/types.ts";
import { jsonDifference } from "../../lib/json-difference.ts";
import { fileStamp, systemReason } from "../../lib/own-file.ts";
import { TokenBucket } from "../../lib/rate-limit.ts";
import { cut } from "../../lib/text.ts";
import { within } from "../../lib/time.ts";
import { getLogger } from "../../log/mod.ts";
import { EMPTY_INVENTORY, type Inventory, LIST_RULES } from "../../protocol/lists.ts";
import type { NamedKind } from "../../registry/types.ts";
import type { Facts } from "../events.ts";
import {
  approval,
  type Definitions,
  definitionsOf,
  isSamePins,
  judgePins,
  pinId,
  pinName,
  quotedName,
  whyWaiting,
  without,
  withoutHeld,
} from "./definitions.ts";
import { type PinBook, pinFile, type PinMap, readPins, updatePins } from "./pin-file.ts";

const NOTHING: PinMap = new Map();

/** What a server offers, and what of it waits. */
class Offer {
  inventory: Inventory = EMPTY_INVENTORY;
  /** What is in it; that of the one before until it has been read. */
  definitions: Definitions = new Map();
  /** What waits is held back. */
  blocks = false;
  /** What it is held to: what the file says, until then what it offered first. */
  pinned: PinMap | undefined;
  waiting = NOTHING;
  /** The file is to say so. */
  isDue = false;
  readonly lines = new TokenBucket({ ratePerSecond: 0.1, burst: 20, now: performance.now() });
}

/** Milliseconds between two looks at the file. */
const LOOK = 1_000;
/** Characters of a comparison in a line of the log, and of what is compared for it. */
const [LONGEST_DIFF, LONGEST_COMPARED] = [1_000, 100_000];

const UNUSABLE = "{problem}; nothing is pinned, and what is to be blocked is held back";
const log = getLogger("mcproxy", "gateway");

/**
 * Compares what servers offer with what was approved: tells of what is another or new, and takes it
 * out of what is shown where the configuration says `block`. One for a gateway, loaded when there is
 * something to compare.
 */
export class PinGuard {
  /** Why the file cannot be used. */
  problem: string | undefined;
  /** Empty where there is none: nothing is read there. */
  readonly #path: string;
  readonly #offers = new Map<string, Offer>();
  /** What the file says, without texts. */
  #book: PinBook = new Map();
  #stamp: string | undefined;
  /** Why it could not be written; each reason is told once. */
  #complaint: string | undefined;
  #looking: Promise<void> | undefined;
  readonly #loaded: Promise<void>;
  readonly #timer: ReturnType<typeof setInterval>;

  /**
   * @param directory where pins are kept; without, they last as long as the gateway
   * @param onChange what is held back of a server is something else now
   */
  constructor(
    directory: string | undefined,
    private readonly events: Facts,
    private readonly onChange: (server: string) => void,
  ) {
    this.#path = directory === undefined ? "" : pinFile(directory);
    this.#loaded = this.look();
    this.#timer = setInterval(() => void this.look(), LOOK).unref();
  }

  /** How many definitions of a server wait, and how many of these are held back. */
  counts(server: string): { readonly waiting: number; readonly held: number } {
    const { waiting: { size: waiting } = NOTHING, blocks } = this.#offers.get(server) ?? {};
    return { waiting, held: blocks ? waiting : 0 };
  }

  /** Compares what a server offers, and gives what may be shown of it. */
  async vet({ name, pin }: ServerConfig, inventory: Inventory): Promise<Inventory> {
    const offer = this.#offers.getOrInsertComputed(name, () => new Offer());
    const isNew = offer.inventory !== inventory;
    offer.inventory = inventory;
    await this.#loaded;
    const definitions = await definitionsOf(inventory, this.#book.get(name)?.pinned);
    const blocks = pin === "block";
    // Another list may have come meanwhile, or that of the server that takes its place.
    if (this.#offers.get(name)?.inventory === inventory) {
      this.#judge(name, Object.assign(offer, { definitions, blocks }), isNew);
    }
    if (!blocks) return inventory;
    const pinned = this.#pinned(name, { blocks, pinned: offer.pinned });
    return withoutHeld(inventory, judgePins(pinned, definitions).waiting);
  }

  /** The server is configured no more, or not to be compared. */
  forget(server: string): void {
    this.#offers.delete(server);
  }

  /** What to tell a client that asks for what is held back; `undefined` where that is not it. */
  heldBack(kind: NamedKind, server: string, name: string): string | undefined {
    const { blocks, pinned, waiting } = this.#offers.get(server) ?? {};
    const item = pinId(kind, name);
    const pin = blocks && waiting?.get(item);
    if (!pin) return undefined;
    const why = this.problem === undefined
      ? `${whyWaiting(pinned, item, pin)}; run "${approval(server)}"`
      : "what was approved cannot be read";
    return `${pinName(item)} of ${quotedName(server)} is held back: ${why}`;
  }

  /** Takes on what others have written, and writes what they do not know. Never rejects. */
  look(): Promise<void> {
    const done = () => void (this.#looking = undefined);
    return this.#looking ??= this.#read().then(() => this.#write()).finally(done);
  }

  /** Writes what waits to be written, and ends. Never rejects. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    // No stop waits for another process that holds the lock.
    await within(LOOK, this.look().then(() => this.look()));
  }

  /** What a server is held to; undefined where all that it offers is to be pinned. */
  #pinned(name: string, offer: Pick<Offer, "blocks" | "pinned">): PinMap | undefined {
    // Where nobody knows what was approved, all may be another.
    if (this.problem !== undefined) return offer.blocks ? NOTHING : undefined;
    const pinned = this.#book.get(name)?.pinned ?? offer.pinned;
    return pinned?.size ? pinned : undefined;
  }

  /** Holds a server to what was approved, and makes known what comes of it. */
  #judge(name: string, offer: Offer, isNew: boolean): void {
    const { inventory, definitions, waiting: before } = offer;
    const said = this.#book.get(name);
    const held = this.#pinned(name, offer);
    const { pinned, waiting } = judgePins(held, definitions);
    offer.waiting = waiting;
    if (this.problem !== undefined) return;
    // Of who has been held to nothing the first lists may be still to come.
    const isEmpty = LIST_RULES.every(({ kind }) => inventory.lists[kind].items.length === 0);
    offer.pinned = isEmpty ? held ?? NOTHING : pinned;
    const isSaid = isSamePins(said?.pinned, offer.pinned) && isSamePins(said?.waiting, waiting);
    // What another gateway has written of its own stands until somebody has decided about it.
    offer.isDue ||= !isSaid && (isNew || !said?.waiting.size);
    for (const item of without(before, without(before, said?.pinned ?? NOTHING)).keys()) {
      this.events.emit({ kind: "pin", server: name, item, what: "approved" });
      log.info("{item} of server {server} was approved", { item: pinName(item), server: name });
    }
    void this.#tell(name, offer, without(without(waiting, before), said?.waiting ?? NOTHING));
  }

  async #tell(server: string, { blocks, pinned, lines }: Offer, news: PinMap): Promise<void> {
    for (const item of news.keys()) {
      this.events.emit({ kind: "pin", server, item, what: blocks ? "held" : "waiting" });
    }
    const told = news.entries().filter(() => lines.take(performance.now()).allowed).toArray();
    if (told.length === 0) return;
    const read = await readPins(this.#path);
    // Texts are in the file alone, as soon as it is written.
    const old = (read.ok ? read.value.get(server)?.pinned : undefined) ?? pinned;
    for (const [item, pin] of told) {
      const texts = [old?.get(item)?.text, pin.text] as const;
      const isLong = texts.some((text = "") => text.length > LONGEST_COMPARED);
      log.warning("{item} of server {server} is {what}: {why}; run {command}: {difference}", {
        server,
        item: pinName(item),
        what: blocks ? "held back" : "not as it was approved",
        why: whyWaiting(pinned, item, pin),
        command: `"${approval(server)}"`,
        difference: isLong ? "it is long" : cut(jsonDifference(...texts).join(" | "), LONGEST_DIFF),
      });
    }
  }

  async #read(): Promise<void> {
    const stamp = await fileStamp(this.#path);
    if (stamp === this.#stamp && this.problem === undefined) return;
    const read = await readPins(this.#path);
    const problem = read.ok ? undefined : `Cannot use "${this.#path}": ${read.reason}`;
    if (problem !== undefined && problem === this.problem) return;
    if (problem !== undefined) log.error(UNUSABLE, { problem });
    this.#stamp = stamp;
    this.problem = problem;
    this.#book = new Map();
    for (const [name, { pinned, waiting }] of read.ok ? read.value : []) {
      this.#book.set(name, { pinned: digests(pinned), waiting: digests(waiting) });
    }
    for (const [name, offer] of this.#offers) {
      const before = offer.waiting;
      offer.pinned = undefined;
      this.#judge(name, offer, false);
      if (offer.blocks && !isSamePins(before, offer.waiting)) this.onChange(name);
    }
  }

  async #write(): Promise<void> {
    const due = [...this.#offers].filter(([, { isDue }]) => isDue);
    if (this.#path === "" || due.length === 0 || this.problem !== undefined) return;
    try {
      await updatePins(this.#path, (book) => {
        for (const [name, offer] of due) {
          const theirs = book.get(name)?.pinned;
          book.set(name, judgePins(theirs?.size ? theirs : offer.pinned, offer.definitions));
          offer.isDue = false;
        }
      });
      this.#complaint = undefined;
    } catch (error) {
      for (const [, offer] of due) offer.isDue = true;
      const reason = systemReason(error);
      if (reason === this.#complaint) return;
      this.#complaint = reason;
      log.warning("Cannot keep pins in {file}: {reason}", { file: this.#path, reason });
    }
  }
}

function digests(pins: PinMap): PinMap {
  return new Map(pins.entries().map(([id, { sha256, raw }]) => [id, { sha256, raw }]));
}
