/** What the gateway says about itself, in both eras. */

import { VERSION } from "../lib/version.ts";
import { MetaKey, MODERN_VERSIONS } from "../protocol/eras.ts";
import type { Principal } from "../protocol/exchange.ts";
import { SENDS_TEXT } from "../runtime/listen.ts";
import type { CacheHints, Page } from "./lists.ts";
import type { View } from "./types.ts";

/** `serverInfo` of the aggregate. */
export const SERVER_INFO = { name: "mcproxy", title: "mcproxy", version: VERSION } as const;

/** How long a modern client may keep what it was told, where no upstream says less. Milliseconds. */
const DEFAULT_TTL_MS = 5_000;

function serverInfoText({ serverInfo = "{}" }: View): string {
  // One that has not answered yet says nothing, and clients refuse it without a name.
  return serverInfo === "{}" ? JSON.stringify(SERVER_INFO) : serverInfo;
}

/** The text of an `initialize` result (lifecycle, legacy era). */
export function initializeResult(view: View, protocolVersion: string): string {
  const parts = [
    `"protocolVersion":${JSON.stringify(protocolVersion)}`,
    `"capabilities":${JSON.stringify(view.capabilitiesFor("legacy"))}`,
    `"serverInfo":${serverInfoText(view)}`,
  ];
  return withInstructions(parts, view);
}

/** The text of a `server/discover` result (2026-07-28). */
export function discoverResult(view: View): string {
  const parts = [
    `"supportedVersions":${JSON.stringify(MODERN_VERSIONS)}`,
    `"capabilities":${JSON.stringify(view.capabilitiesFor("modern"))}`,
    modernMembers(view),
  ];
  return withInstructions(parts, view);
}

function withInstructions(parts: readonly string[], { instructions }: View): string {
  const last = instructions === undefined ? [] : [`"instructions":${JSON.stringify(instructions)}`];
  return `{${[...parts, ...last].join(",")}}`;
}

/** The `_meta` member every modern result of the gateway's own should carry. */
export function serverMeta(view: View): string {
  return `"_meta":{${JSON.stringify(MetaKey.ServerInfo)}:${serverInfoText(view)}}`;
}

/**
 * What a modern result of the gateway's own that may be kept says beside its content. `principal` is
 * whose it is: what is for one that is known is public for nobody in between.
 */
export function modernMembers(
  view: View,
  { ttlMs, cacheScope = "private" }: Partial<CacheHints> = {},
  principal?: Principal,
): string {
  const scope = principal === undefined ? cacheScope : "private";
  const hints = `"ttlMs":${ttlMs ?? DEFAULT_TTL_MS},"cacheScope":"${scope}"`;
  return `"resultType":"complete",${hints},${serverMeta(view)}`;
}

/** The text of one response on its way to a client; a list is put together when it is sent. */
export type Reply = string | ListReply | LaterReply;

/** The reply as text, for transports that write text. */
export function replyText(reply: Reply): string {
  return typeof reply === "string" ? reply : reply.text();
}

const HEAD = '{"jsonrpc":"2.0","id":';
/** Room for an id in a {@link ListReply.body}; a longer one is rare. */
const ID_ROOM = 40;
const BLANK = 32;

/** A response with a list in its result. */
export class ListReply {
  /** `tail` is what follows the list in the result, with the braces that end it. */
  constructor(
    private readonly idText: string,
    private readonly page: Page,
    private readonly tail: string,
  ) {}

  text(): string {
    return `${HEAD}${this.idText},"result":{${this.page.text}${this.tail}`;
  }

  /**
   * What is to be handed to `new Response` in the same turn, which copies it (Fetch: extract a body):
   * so one array serves all, and the id is written into it, behind blanks, which JSON allows there.
   * On Bun that is 40 % less processor time than a text; on Deno a text is cheaper while one byte a
   * character will do (bench/cases/list.ts).
   */
  body(): string | Uint8Array<ArrayBuffer> {
    const { idText, page } = this;
    const isText = SENDS_TEXT && page.isNarrow;
    if (isText || idText.length > ID_ROOM || !/^[\x20-\x7e]*$/.test(idText)) return this.text();
    const bytes = templates.getOrInsertComputed(page, () => new Map())
      .getOrInsertComputed(this.tail, () => this.#template());
    const end = HEAD.length + ID_ROOM;
    bytes.fill(BLANK, HEAD.length, end);
    encoder.encodeInto(idText, bytes.subarray(end - idText.length, end));
    return bytes;
  }

  #template(): Uint8Array<ArrayBuffer> {
    const room = " ".repeat(ID_ROOM);
    return encoder.encode(new ListReply(room, this.page, this.tail).text());
  }
}

/** An error with a status of its own, where the transport has any. */
export interface LaterReply {
  readonly status: 429 | 503;
  /** When the request may come again. */
  readonly seconds: number;
  text(): string;
  body(): string;
}

const encoder = new TextEncoder();
/** By list, then by what follows it. */
const templates = new WeakMap<Page, Map<string, Uint8Array<ArrayBuffer>>>();
