/** Reads everything an upstream offers, all pages of it. */

import { editJson, rawAt, rawElements } from "../../lib/json-edit.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { messageOf, snippet } from "../../lib/text.ts";
import { nextTurn } from "../../lib/time.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import {
  checkedInventory,
  type Inventory,
  type List,
  LIST_RULES,
  type ListItem,
  type ListKind,
  type ListRule,
} from "../../protocol/lists.ts";
import type { ResponseMessage } from "../../protocol/message.ts";
import { headerProblem } from "../../protocol/param-headers.ts";
import type { Connection } from "./connection.ts";
import type { Handshake } from "./handshake.ts";

/** Bounds of one list, against servers that page for ever. */
const MAX_PAGES = 1_000;
/** See {@link MAX_PAGES}. */
const MAX_ITEMS = 10_000;
const TOO_MANY = `more than ${MAX_ITEMS} items`;
/** See {@link MAX_PAGES}. In characters. */
const LIST_LIMIT = 8 * 1024 * 1024;
/** So many that are left out are told of each. */
const MOST_TOLD = 5;
/** A page beyond which others have their turn before more is made of it, in characters. */
const LARGE_PAGE = 512 * 1024;

/** How lists are read. */
interface ReadOptions {
  /** What is known: kept where not asked again, where reading fails, and where nothing changed. */
  readonly previous: Inventory | undefined;
  /** Lists to read again; all of them when there is no `previous`. */
  readonly kinds?: ReadonlySet<ListKind>;
  /** For one page, in ms. */
  readonly timeout: number;
  readonly signal?: AbortSignal;
}

/** What was read, and what was wrong with it, in words for log and status. */
export interface InventoryResult {
  /** The very same object as `previous` when nothing changed. */
  readonly inventory: Inventory;
  /** Of each list that was read. */
  readonly problems: Readonly<Partial<Record<ListKind, readonly string[]>>>;
}

/**
 * Reads the lists the server declares, at the same time, and of one that declares none those that are
 * asked for. A list that fails is reported and does not spoil the others. Never rejects because of
 * what the server says.
 */
export async function readInventory(
  connection: Connection,
  options: ReadOptions,
): Promise<InventoryResult> {
  const { handshake } = connection;
  const { previous, kinds } = options;
  const problems: Partial<Record<ListKind, string[]>> = {};
  const read = await Promise.all(LIST_RULES.map(async (rule): Promise<[ListKind, List]> => {
    const known = previous?.lists[rule.kind];
    if (known !== undefined && kinds !== undefined && !kinds.has(rule.kind)) {
      return [rule.kind, known];
    }
    // What one user may see there others may not even know of.
    if (connection.isPersonal && rule.capability === "resources") return [rule.kind, EMPTY];
    const told: string[] = problems[rule.kind] = [];
    const isDeclared = !!handshake.capabilities[rule.capability];
    if (!isDeclared && declaresLists(handshake)) return [rule.kind, EMPTY];
    if (!isDeclared && kinds === undefined) return [rule.kind, known ?? EMPTY];
    try {
      const list = await readList(connection, rule, options, told);
      return [rule.kind, known !== undefined && equalLists(known, list) ? known : list];
    } catch (error) {
      // Most that declare no list know no such question either.
      if (!isDeclared && !known?.items.length) return [rule.kind, EMPTY];
      told.push(`Cannot list ${rule.kind}: ${messageOf(error)}`);
      return [rule.kind, known ?? UNREAD];
    }
  }));
  const lists = Object.fromEntries(read) as Record<ListKind, List>;
  const inventory: Inventory = {
    capabilities: shownCapabilities(connection),
    serverInfo: handshake.serverInfoText,
    era: handshake.era,
    instructions: handshake.instructions,
    lists,
  };
  const same = previous !== undefined && saysTheSame(previous, inventory);
  return { inventory: same ? previous : await checkedInventory(inventory), problems };
}

/**
 * Whether a server says which lists it has. One that does not may have some nevertheless, as clients
 * of the SDK find out; it is asked once it is in use, for some of those know no such question.
 */
export function declaresLists({ capabilities }: Handshake): boolean {
  return LIST_RULES.some(({ capability }) => capabilities[capability]);
}

/** Nobody subscribes to what is private: it would be one user's login that tells of it to all. */
function shownCapabilities({ handshake, isPersonal }: Connection): string {
  const { capabilities: { resources }, capabilitiesText: text } = handshake;
  const isHidden = isPersonal && isObject(resources) && "subscribe" in resources;
  return isHidden ? editJson(text, [{ path: ["resources", "subscribe"], value: undefined }]) : text;
}

const EMPTY: List = { items: [] };
const UNREAD: List = { items: [], isUnread: true };

async function readList(
  connection: Connection,
  rule: ListRule,
  { timeout, signal }: ReadOptions,
  problems: string[],
): Promise<List> {
  const { era, transport } = connection;
  // Modern requests over HTTP repeat arguments in headers: tools that say wrongly which must be
  // left out then (SEP-2243).
  const usesHeaders = era === "modern" && transport === "http";
  const items: ListItem[] = [];
  const seen = new Set<unknown>();
  let hints: Pick<List, "ttlMs" | "cacheScope"> = {};
  let [skipped, leftOut, size] = [0, 0, 0];
  let cursor: string | undefined;
  for (let page = 1;; page++) {
    const params = cursor === undefined ? undefined : JSON.stringify({ cursor });
    const response = await connection.channel.request(rule.method, params, { timeout, signal });
    if (response.raw.length > LARGE_PAGE) await nextTurn();
    if (response.result === undefined) {
      // Many servers with resources know no templates.
      if (rule.kind === "templates" && response.error?.code === ErrorCode.MethodNotFound) {
        return EMPTY;
      }
      throw new Error(`the server answered error ${errorWords(response.error)}`);
    }
    const found = readItems(rule, response);
    let stop: string | undefined;
    for (const item of found.items) {
      size += item.raw.length;
      if (items.length >= MAX_ITEMS) stop = TOO_MANY;
      else if (size > LIST_LIMIT) stop = `more than ${LIST_LIMIT / 1024 / 1024} MiB`;
      if (stop !== undefined) break;
      const fault = usesHeaders && rule.kind === "tools" ? headerProblem(item.raw) : undefined;
      if (fault === undefined) items.push(item);
      else if (++leftOut <= MOST_TOLD) {
        problems.push(`Left out tool ${JSON.stringify(snippet(item.key))}: ${snippet(fault)}`);
      }
    }
    if (found.isCut) stop ??= TOO_MANY;
    skipped += found.skipped;
    hints = combineHints(hints, response.result);
    const next = response.result.nextCursor;
    if (seen.has(next)) stop ??= "a cursor came twice";
    else if (page >= MAX_PAGES && typeof next === "string") stop ??= `more than ${MAX_PAGES} pages`;
    if (stop !== undefined) {
      problems.push(`List of ${rule.kind} cut at ${items.length} items: ${stop}`);
    }
    if (stop !== undefined || typeof next !== "string") break;
    seen.add(next);
    cursor = next;
  }
  if (leftOut > MOST_TOLD) problems.push(`Left out tools: ${leftOut - MOST_TOLD} more like these`);
  if (skipped > 0) {
    problems.push(`Skipped ${skipped} of the ${rule.kind}: no "${rule.key}" that is a string`);
  }
  return { items, ...hints };
}

function readItems(
  { field, key, kind }: ListRule,
  { raw, result }: ResponseMessage,
): { items: ListItem[]; skipped: number; isCut: boolean } {
  const parsed = result![field];
  if (!Array.isArray(parsed)) throw new Error(`the result has no array "${field}" of ${kind}`);
  const texts = rawElements(rawAt(raw, ["result", field])!, MAX_ITEMS)!;
  const items: ListItem[] = [];
  texts.forEach((raw, index) => {
    const value = isObject(parsed[index]) ? parsed[index][key] : undefined;
    if (typeof value === "string") items.push({ key: value, raw });
  });
  const isCut = parsed.length > texts.length;
  return { items, skipped: texts.length - items.length, isCut };
}

/** The list lives as long as its shortest page, and is private if one of them is (SEP-2549). */
function combineHints(
  hints: Pick<List, "ttlMs" | "cacheScope">,
  { ttlMs, cacheScope }: JsonObject,
): Pick<List, "ttlMs" | "cacheScope"> {
  return {
    ...hints,
    ...(typeof ttlMs === "number" && ttlMs >= 0
      ? { ttlMs: Math.min(ttlMs, hints.ttlMs ?? Infinity) }
      : {}),
    ...(cacheScope === "private" || (cacheScope === "public" && hints.cacheScope !== "private")
      ? { cacheScope }
      : {}),
  };
}

function equalLists(a: List, b: List): boolean {
  return a === b || (
    a.ttlMs === b.ttlMs && a.cacheScope === b.cacheScope && a.isUnread === b.isUnread &&
    a.items.length === b.items.length && a.items.every((item, index) =>
      item.raw === b.items[index]!.raw
    )
  );
}

/** Whether two inventories say the same, whoever they are from. */
export function saysTheSame(a: Inventory, b: Inventory): boolean {
  return a === b || (
    a.era === b.era && a.capabilities === b.capabilities && a.serverInfo === b.serverInfo &&
    a.instructions === b.instructions &&
    LIST_RULES.every(({ kind }) => equalLists(a.lists[kind], b.lists[kind]))
  );
}

function errorWords(error: JsonObject | undefined): string {
  const message = typeof error?.message === "string" ? `: ${error.message}` : "";
  return `${error?.code ?? "without code"}${message}`;
}
