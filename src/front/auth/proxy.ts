import type { ProxyConfig } from "../../config/types.ts";
import { AddressBlocks } from "../../lib/addresses.ts";
import { Pass, principalOf, remember } from "./admission.ts";

/** A proxy that says who asks. Whoever is not it may say what he likes. */
export class TrustedProxy {
  gone = false;
  readonly #trusted = new Map<string, boolean>();
  readonly #passes = new Map<string, Pass>();
  readonly #from: AddressBlocks;

  constructor(readonly config: ProxyConfig) {
    this.#from = new AddressBlocks(config.from);
  }

  /** Who is behind it, where a peer is this proxy: it has added the last address itself. */
  addressBehind(headers: Headers, peer: string | undefined): string | undefined {
    if (!this.#isPeer(peer)) return undefined;
    return headers.get("x-forwarded-for")?.split(",").at(-1)?.trim().slice(0, 64);
  }

  #isPeer(peer: string | undefined): boolean {
    if (peer === undefined) return false;
    let verdict = this.#trusted.get(peer);
    if (verdict === undefined) {
      verdict = this.#from.has(peer);
      remember(this.#trusted, peer, verdict);
    }
    return verdict;
  }

  /** Whom it says a request is from; undefined where it says nothing, or is not the one it is from. */
  admit(headers: Headers, peer: string | undefined): Pass | undefined {
    const name = headers.get(this.config.header);
    if (!name || !this.#isPeer(peer)) return undefined;
    const groups = this.config.groups && headers.get(this.config.groups) || "";
    const text = `${name}\n${groups}`;
    let pass = this.#passes.get(text);
    if (pass === undefined) {
      const named = groups.split(",").map((group) => group.trim()).filter((group) => group !== "");
      const names = named.map((group) => `group:${group}`);
      pass = new Pass(principalOf(`proxy:${name}`, name, names), Infinity, this);
      remember(this.#passes, text, pass);
    }
    return pass;
  }
}
