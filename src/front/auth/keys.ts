import type { KeyConfig } from "../../config/types.ts";
import { LOCAL } from "../../protocol/exchange.ts";
import { digestOf, Pass, WrongCredential } from "./admission.ts";
import type { PageKeys } from "./page-keys.ts";

/**
 * The keys of the configuration, that of the listener, and those of pages. They are found by their digest: how long
 * that takes says nothing about a key, since nobody can choose the digest of what he tries.
 */
export class Keys {
  #passes = new Map<string, Pass>();
  readonly #local: string | undefined;
  readonly #localPass = new Pass(LOCAL);

  constructor(local: string | undefined, private readonly pages: PageKeys) {
    this.#local = local && digestOf(local);
  }

  /** Takes on other keys: those that are gone let nobody in any more, nor stay. */
  reload(keys: readonly KeyConfig[]): void {
    const before = this.#passes;
    this.#passes = new Map();
    for (const { name, hash, expires = Infinity } of keys) {
      const id = `key:${name}`;
      const old = before.get(hash);
      const pass = old?.principal.id === id ? old : new Pass({ id, who: id, names: [id] });
      pass.until = expires;
      this.#passes.set(hash, pass);
    }
    for (const [hash, pass] of before) if (this.#passes.get(hash) !== pass) pass.end();
  }

  /** What the keys of the configuration let in by. */
  get passes(): Iterable<Pass> {
    return this.#passes.values();
  }

  /** Whom a key lets in; undefined for what is none. @throws {WrongCredential} for an old one */
  find(key: string, now: number): Pass | undefined {
    const digest = digestOf(key);
    if (digest === this.#local) return this.#localPass;
    const pass = this.#passes.get(digest) ?? this.pages.get(digest);
    if (pass === undefined || pass.holds(now)) return pass;
    throw new WrongCredential({ why: "expired", genuine: true });
  }
}
