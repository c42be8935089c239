/** What is written down of who has done what: the facts that count, as lines of an {@link AuditFile}. */

import { join } from "node:path";
import type { AuditConfig } from "../../config/types.ts";
import { canonicalJson, type Json, nodeCrypto, unlessTooDeep } from "../../lib/json.ts";
import { keptKey } from "../../lib/kept-key.ts";
import type { Redactor } from "../../lib/secrets.ts";
import { cut } from "../../lib/text.ts";
import { type Clock, systemClock } from "../../lib/time.ts";
import { getLogger } from "../../log/mod.ts";
import type { Client } from "../../protocol/exchange.ts";
import { type CallRecord, type Facts, isLimited } from "../events.ts";
import { type AuditDisk, AuditFile } from "./audit-file.ts";
import { COUNTED } from "./limits.ts";

/** What an {@link Audit} stands on. */
export interface AuditParts {
  readonly config: AuditConfig;
  readonly events: Facts;
  /** The file that says so. */
  readonly source: string;
  /** Masks what the configuration knows as secret. */
  readonly redactor: () => Redactor;
  /** Where the key is kept that arguments are hashed with. */
  readonly stateDirectory: string | undefined;
  /** Nothing is written before. */
  readonly after?: Promise<void> | undefined;
  readonly clock?: Clock | undefined;
  readonly disk?: AuditDisk | undefined;
}

/** Characters of arguments, and of a name. */
const [MAX_ARGUMENTS, MAX_NAME] = [8 * 1024, 1_000];
/** Counted apart in a minute; whoever comes then is counted with others. */
const MAX_COUNTED = 1_000;
const OTHERS = "others";
const AUTH_FAILED = "auth-failed";
/** Lines of one that is refused in a minute; what comes then is counted. */
const MOST_REFUSALS = 10;
const MINUTE = 60_000;

const log = getLogger("mcproxy", "gateway");

/** Listens to facts, from its making on. */
export class Audit {
  readonly #file: AuditFile;
  readonly #off: (() => void)[];
  /** How often in this minute, by event and whose it is. */
  readonly #counts = new Map<string, Map<string, number>>();
  #unschedule: (() => void) | undefined;
  /** Undefined until it is read, and where it is not needed. */
  #key: Uint8Array | undefined;
  /** Resolves when it is known whether lines can be written. */
  readonly opened: Promise<void>;

  constructor(private readonly parts: AuditParts) {
    const { config: { file: path, arguments: shown }, events, after, disk } = parts;
    const { clock = systemClock } = parts;
    this.#file = new AuditFile({ path, log, after, clock, disk });
    this.#add({ event: "config", name: parts.source, outcome: "in force" });
    this.#off = [
      events.on("call", (record) => {
        if (!COUNTED.has(record.method) || isLimited(record)) return;
        const { rid, client, method, endpoint, server, name, params, duration } = record;
        const args = this.#arguments(params?.arguments);
        const ms = Math.round(duration * 1_000) / 1_000;
        const did = {
          endpoint,
          server,
          name: this.#name(name),
          method,
          args,
          ms,
          outcome: outcomeOf(record),
        };
        this.#add({ event: "call", rid, ...whoOf(client), ...did });
      }),
      events.on("limited", ({ rid, client, method, endpoint, server, name, told: outcome }) => {
        if (!this.#isFew("limited", client.principal?.who)) return;
        const did = { endpoint, server, name: this.#name(name), method, outcome };
        this.#add({ event: "limited", rid, ...whoOf(client), ...did });
      }),
      events.on("denied", ({ principal: { who }, address, path, status: outcome }) => {
        if (!this.#isFew("denied", who)) return;
        this.#add({ event: "denied", who, address, name: this.#name(path), outcome });
      }),
      events.on("authFailed", ({ address }) => void this.#isFew(AUTH_FAILED, address)),
      events.on("client", ({ client, transport, endpoint, left }) => {
        const { name, version } = client.info;
        const named = this.#name(`${name ?? ""} ${version ?? ""} by ${transport}`.trim());
        const did = { endpoint, name: named, outcome: left ?? "came" };
        this.#add({ event: "session", ...whoOf(client), ...did });
      }),
      events.on("pin", ({ server, item: name, what: outcome }) => {
        this.#add({ event: "pin", server, name: this.#name(name), outcome });
      }),
      events.on("grant", ({ server, principal, what: outcome, who, address }) => {
        // What the gateway does for itself is not to be pushed out by anybody.
        const whose = who ?? principal;
        if (whose !== "" && !this.#isFew("grant", whose)) return;
        this.#add({ event: "grant", who, address, server, name: principal || undefined, outcome });
      }),
      events.on("config", ({ file, refused = "in force" }) => {
        this.#add({ event: "config", name: file, outcome: cut(refused, MAX_NAME) });
      }),
    ];
    this.opened = Promise.all([
      this.#file.flush(),
      shown === "hash" ? this.#readKey() : undefined,
    ]).then(() => {});
  }

  /** Why calls have to be refused. */
  get refusal(): string | undefined {
    return this.parts.config.required ? this.#file.problem : undefined;
  }

  /** Writes what waits. */
  flush(): Promise<void> {
    return this.#file.flush();
  }

  /** Writes what is left, and listens no more. */
  async close(): Promise<void> {
    for (const off of this.#off) off();
    this.#tellCounts();
    await this.#file.close();
  }

  #add(members: object): void {
    this.#file.add(new Date().toISOString(), members);
  }

  /** Whether one more has a line of its own: nobody can push out of the file what he has done. */
  #isFew(event: string, whose = ""): boolean {
    const counts = this.#counts.getOrInsertComputed(event, () => new Map());
    const key = counts.has(whose) || counts.size < MAX_COUNTED ? whose : OTHERS;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    const { clock = systemClock } = this.parts;
    this.#unschedule ??= clock.after(MINUTE, () => this.#tellCounts(), true);
    return count <= MOST_REFUSALS;
  }

  #tellCounts(): void {
    this.#unschedule?.();
    this.#unschedule = undefined;
    for (const [event, counts] of this.#counts) {
      for (const [whose, count] of counts) {
        const more = `${count - MOST_REFUSALS} more in a minute`;
        if (event === AUTH_FAILED) {
          this.#add({ event, address: whose, outcome: `${count} in a minute` });
        } else if (count > MOST_REFUSALS) {
          this.#add({ event, who: whose || undefined, outcome: more });
        }
      }
    }
    this.#counts.clear();
  }

  #name(name: string | undefined): string | undefined {
    return name === undefined ? undefined : this.parts.redactor().text(cut(name, MAX_NAME));
  }

  #arguments(args: Json | undefined): string | undefined {
    const { config: { arguments: shown }, redactor } = this.parts;
    if (shown === "none" || args === undefined) return undefined;
    if (shown === "full") return cut(JSON.stringify(redactor().value(args)), MAX_ARGUMENTS);
    const text = unlessTooDeep(() => canonicalJson(args));
    if (text === undefined || this.#key === undefined) return undefined;
    return nodeCrypto().createHmac("sha256", this.#key).update(text).digest("hex");
  }

  /** The same from run to run, or equal arguments could not be told. */
  async #readKey(): Promise<void> {
    const { stateDirectory } = this.parts;
    const complain = (reason: string) =>
      log.error("Cannot use the key of the audit, hashes are of this run only: {reason}", {
        reason,
      });
    if (stateDirectory === undefined) complain("there is no directory for state");
    this.#key = await keptKey(stateDirectory && join(stateDirectory, "audit.key"), complain);
  }
}

/** In the words that lines have from the beginning. */
function outcomeOf({ outcome, isUnfinished }: CallRecord) {
  if (outcome === "cancelled") return outcome;
  if (isUnfinished || outcome === "input_required") return "unfinished";
  return outcome === "ok" ? outcome : outcome === "tool_error" ? "toolError" : "error";
}

function whoOf({ label, principal, address }: Pick<Client, "label" | "principal" | "address">) {
  return { who: principal?.who, client: label, address };
}
