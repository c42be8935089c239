/**
 * What is decided about the definitions of a server:
 *
 * | the file              | the server offers     | it is held to       | what waits            |
 * | --------------------- | --------------------- | ------------------- | --------------------- |
 * | knows nothing of it   | no lists yet          | clean instructions  | what hides            |
 * | knows nothing of it   | lists                 | what of it is clean | what hides            |
 * | says what was pinned  | anything              | what was pinned     | what is another, new  |
 * | cannot be used        | anything, in `warn`   | nothing             | what hides, not told  |
 * | cannot be used        | anything, in `block`  | nothing             | all, not told         |
 *
 * Tools, prompts and instructions are known each by themselves, nothing being all there is, too.
 * What waits stands in the file until it is approved or offered no more.
 */

import { hasHidden, showHidden } from "../../lib/hidden-text.ts";
import { canonicalJson, nodeCrypto, unlessTooDeep } from "../../lib/json.ts";
import { cut, oneLine } from "../../lib/text.ts";
import { takingTurns } from "../../lib/time.ts";
import type { Inventory, ListKind } from "../../protocol/lists.ts";
import type { NamedKind } from "../../registry/types.ts";
import type { Pin, PinMap, ServerPins } from "./pin-file.ts";

/** What a server tells models about itself, as an item among its tools and prompts. */
const INSTRUCTIONS = "instructions";
const KINDS = ["tool", "prompt", INSTRUCTIONS];
/** Of who has never been heard all that is clean is pinned. */
export const UNHEARD: ServerPins = { pinned: new Map(), waiting: new Map(), open: KINDS };
/** A prompt's schema is the list of its arguments. */
const MEMBERS = "name title description inputSchema outputSchema annotations arguments instructions"
  .split(" ");
/** A longer name is told by its beginning, and known by its digest. */
const LONGEST_NAME = 200;
/** What is nested deeper, whatever stack is left, or is more characters, nobody is shown. */
const [DEEPEST, LONGEST] = [500, 256 * 1024];

/** What a tool or prompt is called among the pins. */
export function pinId(kind: NamedKind, name: string): string {
  const end = name.length > LONGEST_NAME ? ` ${digest(name)}` : "";
  return `${kind} ${cut(name, LONGEST_NAME)}${end}`;
}

/** What a server offers by one name. */
export class Definition implements Pin {
  readonly raw: string;
  readonly sha256: string;
  /** It was approved, or nothing in it is hidden, as far as that can be known. */
  readonly isClean: boolean;

  /** @param raws one that is listed twice is all that is said of it */
  constructor(private readonly raws: readonly string[], pin: Pin | undefined) {
    this.raw = digest(raws.join("\n"));
    const isKnown = pin?.raw === this.raw;
    const text = isKnown ? undefined : this.text;
    this.sha256 = isKnown ? pin.sha256 : text === undefined ? this.raw : digest(text);
    this.isClean = isKnown || (text !== undefined && !hasHidden(text));
  }

  /** Written whenever it is asked for: few ever are. Undefined where nobody could look through it. */
  get text(): string | undefined {
    if (this.raws.join().length > LONGEST) return undefined;
    return unlessTooDeep(() => this.raws.map(canonicalText).join("\n"));
  }
}

/** All that a server offers, by {@link pinId}. */
export class Definitions extends Map<string, Definition> {
  /** Kinds of which this is all there is; who lists nothing may be about to. */
  heard: readonly string[] = [];
}

/** What a server offers, to be compared; in turns. What `pinned` has in the very words is not read. */
export async function definitionsOf(inventory: Inventory, pinned?: PinMap): Promise<Definitions> {
  const { lists, instructions = "" } = inventory;
  const raws = new Map<string, string[]>();
  const add = (id: string, raw: string) => raws.getOrInsertComputed(id, () => []).push(raw);
  for (const { key, raw } of lists.tools.items) add(pinId("tool", key), raw);
  for (const { key, raw } of lists.prompts.items) add(pinId("prompt", key), raw);
  if (instructions.trim() !== "") add(INSTRUCTIONS, JSON.stringify({ instructions }));
  const all = new Definitions();
  for await (const [id, texts] of takingTurns(raws)) {
    all.set(id, new Definition(texts, pinned?.get(id)));
  }
  const isListing = Object.values(lists).some(({ items }) => items.length > 0);
  const unread = Object.keys(lists).filter((kind) => lists[kind as ListKind].isUnread);
  all.heard = KINDS.filter((kind) => all.has(kind) || (isListing && !unread.includes(`${kind}s`)));
  return all;
}

/** @throws {RangeError} where it is nested too deep */
function canonicalText(raw: string): string {
  const value = JSON.parse(raw);
  return canonicalJson(Object.fromEntries(MEMBERS.map((name) => [name, value[name]])), DEEPEST);
}

function digest(text: string): string {
  return nodeCrypto().createHash("sha256").update(text).digest("base64url");
}

/** What is said by who knows of more kinds; where that is the same, the first. */
export function betterKnown(one = UNHEARD, other = UNHEARD): ServerPins {
  return other.open.length < one.open.length ? other : one;
}

/** What a server is held to, and what of its definitions waits. Of open kinds is pinned what is clean. */
export function judgePins(definitions: Definitions, said = UNHEARD): ServerPins {
  const isOpen = (id: string) => said.open.some((kind) => id.startsWith(kind));
  const first = definitions.entries().filter(([id, { isClean }]) => isClean && isOpen(id));
  const pinned = new Map([...first, ...said.pinned]);
  const open = said.open.filter((kind) => !definitions.heard.includes(kind));
  return { pinned, waiting: without(definitions, pinned), open };
}

/** Whether two say the same. */
export function isSamePins(one: PinMap, other: PinMap): boolean {
  return one.size === other.size && without(one, other).size === 0;
}

/** What is not in `others`, or is another there. */
export function without(pins: PinMap, others: PinMap): PinMap {
  return new Map(pins.entries().filter(([id, { sha256 }]) => others.get(id)?.sha256 !== sha256));
}

/** The inventory less what is held back. The same object where that is nothing. */
export function withoutHeld(inventory: Inventory, waiting: PinMap): Inventory {
  if (waiting.size === 0) return inventory;
  const { lists, mended, instructions } = inventory;
  const shown = (kind: NamedKind) => {
    const list = lists[`${kind}s`];
    const items = list.items.filter(({ key }) => !waiting.has(pinId(kind, key)));
    return items.length < list.items.length ? { ...list, items } : list;
  };
  return {
    ...inventory,
    lists: { ...lists, tools: shown("tool"), prompts: shown("prompt") },
    instructions: waiting.has(INSTRUCTIONS) ? undefined : instructions,
    ...mended && { mended: { ...mended, inventory: withoutHeld(mended.inventory, waiting) } },
  };
}

/** Why a definition waits, as the end of a sentence. */
export function whyWaiting(pinned: PinMap | undefined, id: string, { text }: Pin): string {
  const why = pinned?.has(id) ? "its definition changed" : "it is new";
  if (text === undefined) return `${why}, and too long or too deep to be shown`;
  return hasHidden(text) ? `${why}, and has hidden characters` : why;
}

/** The same, and what a person types who looks at what waits of a server. */
export function approval(server: string, ...why: Parameters<typeof whyWaiting>): string {
  const name = /^[\w.@-]+$/.test(server) ? server : JSON.stringify(server);
  return `${whyWaiting(...why)}; run "mcproxy approve ${name}"`;
}

/** `Tool "x"`; nothing in it hides itself. */
export function pinName(id: string): string {
  const [kind = "", ...name] = id.split(" ");
  const noun = kind.charAt(0).toUpperCase() + kind.slice(1);
  const shown = oneLine(showHidden(cut(name.join(" "), LONGEST_NAME)));
  return shown === "" ? noun : `${noun} ${JSON.stringify(shown)}`;
}
