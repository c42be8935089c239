/** What of a server is compared with what was approved, and how a difference is shown. */

import { hasHidden, showHidden } from "../../lib/hidden-text.ts";
import { canonicalJson, type Json, nodeCrypto, unlessTooDeep } from "../../lib/json.ts";
import { cut, oneLine } from "../../lib/text.ts";
import { takingTurns } from "../../lib/time.ts";
import type { Inventory } from "../../protocol/lists.ts";
import type { NamedKind } from "../../registry/types.ts";
import type { Pin, PinMap } from "./pin-file.ts";

/** What a server tells models about itself, as an item among its tools and prompts. */
const INSTRUCTIONS = "instructions";
const KINDS = [["tools", "tool"], ["prompts", "prompt"]] as const;
/** A prompt's schema is the list of its arguments. */
const MEMBERS = "name title description inputSchema outputSchema annotations arguments".split(" ");
/** A longer name is told by its beginning, and known by its digest. */
const LONGEST_NAME = 200;
/** What is nested deeper has no text, whatever stack is left. */
const DEEPEST = 500;

/** What a tool or prompt is called among the pins. */
export function pinId(kind: NamedKind, name: string): string {
  const end = name.length > LONGEST_NAME ? ` ${digest(name)}` : "";
  return `${kind} ${cut(name, LONGEST_NAME)}${end}`;
}

/**
 * What a server offers, to be compared; in turns. What `known` has in the very words is not read
 * again, and has no text then.
 */
export async function definitionsOf(
  { lists, instructions }: Inventory,
  known: PinMap | undefined,
): Promise<PinMap> {
  const raws = new Map<string, string[]>();
  for (const [list, kind] of KINDS) {
    for (const { key, raw } of lists[list].items) {
      const id = pinId(kind, key);
      // One that is listed twice is all that is said of it.
      if (raws.get(id)?.push(raw) === undefined) raws.set(id, [raw]);
    }
  }
  if (instructions?.trim()) raws.set(INSTRUCTIONS, [JSON.stringify(instructions)]);
  const pins = new Map<string, Pin>();
  for await (const [id, texts] of takingTurns(raws)) {
    const raw = digest(texts.join("\n"));
    const before = known?.get(id);
    if (before?.raw === raw) pins.set(id, { sha256: before.sha256, raw });
    else {
      const text = unlessTooDeep(() => texts.map(canonicalText).join("\n"));
      pins.set(id, { sha256: text === undefined ? raw : digest(text), raw, text });
    }
  }
  return pins;
}

/** @throws {RangeError} where it is nested too deep: no client would take it */
function canonicalText(raw: string): string {
  const value = JSON.parse(raw);
  const isText = typeof value === "string";
  return canonicalJson(
    isText ? value : Object.fromEntries(MEMBERS.map((name) => [name, value[name]])),
    DEEPEST,
  );
}

function digest(text: string): string {
  return nodeCrypto().createHash("sha256").update(text).digest("base64url");
}

/**
 * What waits of what is offered. Of a server that nobody has seen before all is pinned, `first`, that
 * has no hidden characters, as far as that can be known.
 */
export function judgePins(
  pinned: PinMap | undefined,
  offered: PinMap,
): { readonly first: PinMap | undefined; readonly waiting: PinMap } {
  const first = new Map<string, Pin>();
  const waiting = new Map<string, Pin>();
  for (const [id, pin] of offered) {
    if (pinned?.get(id)?.sha256 === pin.sha256) continue;
    const isClean = pin.text !== undefined && !hasHidden(pin.text);
    (pinned === undefined && isClean ? first : waiting).set(id, pin);
  }
  return { first: pinned === undefined ? first : undefined, waiting };
}

/** Why a definition waits, as the end of a sentence. */
export function whyWaiting(pinned: PinMap | undefined, id: string, { text }: Pin): string {
  const why = pinned?.has(id) ? "its definition changed" : "it is new";
  if (text === undefined) return `${why}, and too long or too deep to be shown`;
  return hasHidden(text) ? `${why}, and has hidden characters` : why;
}

/** The inventory less what is held back. The same object where that is nothing. */
export function withoutHeld(inventory: Inventory, waiting: PinMap): Inventory {
  if (waiting.size === 0) return inventory;
  const lists = { ...inventory.lists };
  for (const [list, kind] of KINDS) {
    const items = lists[list].items.filter(({ key }) => !waiting.has(pinId(kind, key)));
    if (items.length < lists[list].items.length) lists[list] = { ...lists[list], items };
  }
  const { mended } = inventory;
  return {
    ...inventory,
    lists,
    instructions: waiting.has(INSTRUCTIONS) ? undefined : inventory.instructions,
    ...mended && { mended: { ...mended, inventory: withoutHeld(mended.inventory, waiting) } },
  };
}

/** Characters that are shown around a difference. */
const AROUND = 40;

/**
 * What differs between two definitions, `undefined` for one that is not there or was not kept: lines
 * for every value by its path, `-` before the old and `+` before the new. Nothing foreign in it can
 * end a line or hide itself.
 */
export function pinDifference(old: string | undefined, next: string | undefined): string[] {
  const before = valuesOf(old);
  const after = valuesOf(next);
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((path) => {
    const written = [before.get(path), after.get(path)];
    if (written[0] === written[1]) return [];
    const plain = written.map((text) => text?.startsWith('"') ? JSON.parse(text) as string : text);
    // `1` and `"1"` are not the same.
    const [from, to] = plain[0] === plain[1] ? written : plain;
    const line = (sign: string, text: string | undefined, other = "") =>
      text === undefined ? [] : [oneLine(showHidden(`${sign} ${path}: ${differing(text, other)}`))];
    return [...line("-", from, to), ...line("+", to, from)];
  });
}

/** The single values of a definition as JSON by their paths, none of which is another's. */
function valuesOf(canonical: string | undefined): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const read = (value: Json | undefined, path: string): void => {
    const members = typeof value === "object" && value !== null ? Object.entries(value) : [];
    for (const [name, member] of members) {
      const isPlain = Array.isArray(value) || /^[A-Za-z_$][\w$-]*$/.test(name);
      const step = isPlain ? name : JSON.stringify(name);
      read(member, path === "" ? step : `${path}.${step}`);
    }
    if (members.length === 0) values.set(path || INSTRUCTIONS, JSON.stringify(value));
  };
  // One that is listed more than once.
  canonical?.split("\n").forEach((text, at) => read(JSON.parse(text), at === 0 ? "" : `#${at}`));
  return values;
}

/** The text without the beginning and the end that it shares with the other one. */
function differing(text: string, other: string): string {
  const most = Math.min(text.length, other.length);
  let start = 0;
  while (start < most && text[start] === other[start]) start++;
  let end = 0;
  while (end < most - start && text.at(-1 - end) === other.at(-1 - end)) end++;
  const from = Math.max(0, start - AROUND);
  const to = Math.min(text.length, text.length - end + AROUND);
  const shown = text.slice(from, to).toWellFormed();
  return `${from > 0 ? "…" : ""}${shown}${to < text.length ? "…" : ""}`;
}
