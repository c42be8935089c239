import { clearInterval, setInterval } from "node:timers";
import type { ServerConfig } from "../../config/types.ts";
import { jsonDifference } from "../../lib/json-difference.ts";
import { fileStamp, systemReason } from "../../lib/own-file.ts";
import { TokenBucket } from "../../lib/rate-limit.ts";
import { cut } from "../../lib/text.ts";
import { within } from "../../lib/time.ts";
import { getLogger } from "../../log/mod.ts";
import { EMPTY_INVENTORY, type Inventory } from "../../protocol/lists.ts";
import type { NamedKind } from "../../registry/types.ts";
import type { Facts } from "../events.ts";
import {
  approval,
  betterKnown,
  Definitions,
  definitionsOf,
  isSamePins,
  judgePins,
  pinId,
  pinName,
  UNHEARD,
  without,
  withoutHeld,
} from "./definitions.ts";
import { DIGESTS, type PinBook, pinFile, type PinMap, readPins, updatePins } from "./pin-file.ts";

/** What a server offers, and what of it waits. */
class Offer {
  inventory: Inventory = EMPTY_INVENTORY;
  /** What is in it; that of the one before until it has been read. */
  definitions = new Definitions();
  /** What waits is held back. */
  blocks = false;
  waiting: PinMap = UNHEARD.waiting;
  /** The file is to say so. */
  isDue = false;
  readonly lines = new TokenBucket({ ratePerSecond: 0.1, burst: 20, now: performance.now() });
}

/** Milliseconds between two looks at the file. */
const LOOK = 1_000;
/** Characters of a comparison in a line of the log. */
const LONGEST_DIFF = 1_000;

const UNUSABLE = "{problem}; nothing is pinned, and what is to be blocked is held back";
const UNWRITTEN = "Cannot keep pins in {file}: {reason}";
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
  /** What the file says, without texts, and what was pinned since. */
  #book: PinBook = new Map();
  #stamp: string | undefined;
  /** Why it could not be written; each reason is told once. */
  #complaint: string | undefined;
  #looking: Promise<void> | undefined;
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
    this.#timer = setInterval(() => void this.look(), LOOK).unref();
  }

  /** How many definitions of a server wait, and how many of these are held back. */
  counts(server: string): { readonly waiting: number; readonly held: number } {
    const { waiting: { size: waiting } = UNHEARD.waiting, blocks } = this.#offers.get(server) ?? {};
    return { waiting, held: blocks ? waiting : 0 };
  }

  /** Compares what a server offers, and gives what may be shown of it. */
  async vet({ name, pin }: ServerConfig, inventory: Inventory): Promise<Inventory> {
    const offer = this.#offers.getOrInsertComputed(name, () => new Offer());
    const isNew = offer.inventory !== inventory;
    offer.inventory = inventory;
    if (this.#stamp === undefined) await this.look();
    const definitions = await definitionsOf(inventory, this.#book.get(name)?.pinned);
    const blocks = pin === "block";
    // Another list may have come meanwhile, or that of the server that takes its place.
    if (this.#offers.get(name)?.inventory === inventory) {
      this.#judge(name, Object.assign(offer, { definitions, blocks }), isNew);
    }
    if (!blocks) return inventory;
    return withoutHeld(inventory, this.#judged(name, definitions, blocks).waiting);
  }

  /** The server is configured no more, or not to be compared. */
  forget(server: string): void {
    this.#offers.delete(server);
  }

  /** What to tell a client that asks for what is held back; `undefined` where that is not it. */
  heldBack(kind: NamedKind, server: string, name: string): string | undefined {
    const { blocks, waiting } = this.#offers.get(server) ?? {};
    const item = pinId(kind, name);
    const pin = blocks && waiting?.get(item);
    if (!pin) return undefined;
    const why = this.problem === undefined
      ? approval(server, this.#book.get(server)?.pinned, item, pin)
      : "what was approved cannot be read";
    return `${pinName(item)} of ${JSON.stringify(server)} is held back: ${why}`;
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

  #judged(name: string, definitions: Definitions, blocks: boolean) {
    if (this.problem === undefined) return judgePins(definitions, this.#book.get(name));
    // Where nobody knows what was approved, all may be another.
    return judgePins(definitions, blocks ? { ...UNHEARD, open: [] } : UNHEARD);
  }

  /** Holds a server to what was approved, and makes known what comes of it. */
  #judge(name: string, offer: Offer, isNew: boolean): void {
    const { definitions, blocks, waiting: before } = offer;
    const said = this.#book.get(name) ?? UNHEARD;
    const { pinned, waiting, open } = this.#judged(name, definitions, blocks);
    offer.waiting = waiting;
    if (this.problem !== undefined) return;
    this.#book.set(name, { ...said, pinned, open });
    const isSaid = said.open.length === open.length && isSamePins(said.pinned, pinned) &&
      isSamePins(said.waiting, waiting);
    // What another gateway has written of its own stands until somebody has decided about it.
    offer.isDue ||= !isSaid && (isNew || said.waiting.size === 0);
    for (const item of without(before, without(before, said.pinned)).keys()) {
      this.events.emit({ kind: "pin", server: name, item, what: "approved" });
      log.info("{item} of server {server} was approved", { item: pinName(item), server: name });
    }
    void this.#tell(name, offer, without(without(waiting, before), said.waiting));
  }

  async #tell(server: string, { blocks, lines }: Offer, news: PinMap): Promise<void> {
    const what = blocks ? "held" : "waiting";
    for (const item of news.keys()) this.events.emit({ kind: "pin", server, item, what });
    const told = news.entries().filter(() => lines.take(performance.now()).allowed).toArray();
    if (told.length === 0) return;
    const read = await readPins(this.#path);
    // Texts are in the file alone, as soon as it is written.
    const { pinned } = (read.ok && read.value.get(server)) || this.#book.get(server) || UNHEARD;
    for (const [item, pin] of told) {
      log.warning("{item} of server {server} is {what}: {why}: {difference}", {
        server,
        item: pinName(item),
        what: blocks ? "held back" : "not as it was approved",
        why: approval(server, pinned, item, pin),
        difference: cut(jsonDifference(pinned.get(item)?.text, pin.text).join(" | "), LONGEST_DIFF),
      });
    }
  }

  async #read(): Promise<void> {
    const stamp = await fileStamp(this.#path);
    if (stamp === this.#stamp && this.problem === undefined) return;
    const read = await readPins(this.#path, undefined, DIGESTS);
    const problem = read.ok ? undefined : `Cannot use "${this.#path}": ${read.reason}`;
    if (problem !== undefined && problem !== this.problem) log.error(UNUSABLE, { problem });
    const before = this.#book;
    [this.#stamp, this.problem, this.#book] = [stamp, problem, read.ok ? read.value : before];
    for (const [name, offer] of this.#offers) {
      const { isDue, waiting } = offer;
      // What was not in the file yet counts; what is in it no more is forgotten.
      const isKept = isDue && stamp !== "";
      if (isKept) this.#book.set(name, betterKnown(this.#book.get(name), before.get(name)));
      this.#judge(name, offer, false);
      if (offer.blocks && !isSamePins(waiting, offer.waiting)) this.onChange(name);
    }
  }

  async #write(): Promise<void> {
    const due = [...this.#offers].filter(([, { isDue }]) => isDue);
    if (this.#path === "" || due.length === 0 || this.problem !== undefined) return;
    try {
      await updatePins(this.#path, (book) => {
        for (const [name, offer] of due) {
          const held = betterKnown(book.get(name), this.#book.get(name));
          book.set(name, judgePins(offer.definitions, held));
          offer.isDue = false;
        }
      });
      this.#complaint = undefined;
    } catch (error) {
      for (const [, offer] of due) offer.isDue = true;
      const [before, reason] = [this.#complaint, systemReason(error)];
      this.#complaint = reason;
      if (reason !== before) log.warning(UNWRITTEN, { file: this.#path, reason });
    }
  }
}
