/**
 * What is decided about the definitions of a server:
 *
 * | the file              | the server offers     | it is held to       | what waits            |
 * | --------------------- | --------------------- | ------------------- | --------------------- |
 * | knows nothing of it   | no lists yet          | nothing yet         | what hides            |
 * | knows nothing of it   | lists                 | what of it is clean | what hides            |
 * | says what was pinned  | anything              | what was pinned     | what is another, new  |
 * | cannot be used        | anything, in `warn`   | nothing             | what hides, not told  |
 * | cannot be used        | anything, in `block`  | nothing             | all, not told         |
 *
 * What waits stands in the file until it is approved or offered no more.
 */

import { hasHidden, showHidden } from "../../lib/hidden-text.ts";
import { canonicalJson, nodeCrypto, unlessTooDeep } from "../../lib/json.ts";
import { cut, oneLine } from "../../lib/text.ts";
import { takingTurns } from "../../lib/time.ts";
import type { Inventory } from "../../protocol/lists.ts";
import type { NamedKind } from "../../registry/types.ts";
import type { Pin, PinMap, ServerPins } from "./pin-file.ts";

/** What a server tells models about itself, as an item among its tools and prompts. */
const INSTRUCTIONS = "instructions";
/** A prompt's schema is the list of its arguments. */
const MEMBERS = "name title description inputSchema outputSchema annotations arguments instructions"
  .split(" ");
/** A longer name is told by its beginning, and known by its digest. */
const LONGEST_NAME = 200;
/** What is nested deeper has no text, whatever stack is left. */
const DEEPEST = 500;

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

  /** Written whenever it is asked for: few ever are. Undefined where no client would take it. */
  get text(): string | undefined {
    return unlessTooDeep(() => this.raws.map(canonicalText).join("\n"));
  }
}

/** All that a server offers, by {@link pinId}. */
export type Definitions = ReadonlyMap<string, Definition>;

/** What a server offers, to be compared; in turns. What `pinned` has in the very words is not read. */
export async function definitionsOf(
  { lists: { tools, prompts }, instructions }: Inventory,
  pinned: PinMap | undefined,
): Promise<Definitions> {
  const raws = new Map<string, string[]>();
  const add = (id: string, raw: string) => raws.getOrInsertComputed(id, () => []).push(raw);
  for (const { key, raw } of tools.items) add(pinId("tool", key), raw);
  for (const { key, raw } of prompts.items) add(pinId("prompt", key), raw);
  if (instructions?.trim()) add(INSTRUCTIONS, JSON.stringify({ instructions }));
  const all = new Map<string, Definition>();
  for await (const [id, texts] of takingTurns(raws)) {
    all.set(id, new Definition(texts, pinned?.get(id)));
  }
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

/**
 * What a server is held to, and what of its definitions waits. Of one that nobody has seen before all
 * is pinned that is clean.
 */
export function judgePins(pinned: PinMap | undefined, definitions: Definitions): ServerPins {
  const held = pinned ?? new Map(definitions.entries().filter(([, { isClean }]) => isClean));
  return { pinned: held, waiting: without(definitions, held) };
}

/** Whether two say the same; none says nothing. */
export function isSamePins(one: PinMap = new Map(), other: PinMap): boolean {
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
  const shown = (list: "tools" | "prompts", kind: NamedKind) => {
    const items = lists[list].items.filter(({ key }) => !waiting.has(pinId(kind, key)));
    return items.length < lists[list].items.length ? { ...lists[list], items } : lists[list];
  };
  return {
    ...inventory,
    lists: { ...lists, tools: shown("tools", "tool"), prompts: shown("prompts", "prompt") },
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

/** A name in quotes; nothing in it hides itself. */
export function quotedName(name: string): string {
  return JSON.stringify(oneLine(showHidden(cut(name, LONGEST_NAME))));
}

/** `Tool "x"`. */
export function pinName(id: string): string {
  const [kind = "", ...name] = id.split(" ");
  const noun = kind.charAt(0).toUpperCase() + kind.slice(1);
  return name.length === 0 ? noun : `${noun} ${quotedName(name.join(" "))}`;
}

/** What a person types who looks at what waits of a server. */
export function approval(server: string): string {
  return `mcproxy approve ${/^[\w.@-]+$/.test(server) ? server : quotedName(server)}`;
}
