import { nodeCrypto } from "../../lib/json.ts";
import { putLast } from "../../lib/recent.ts";
import { cut } from "../../lib/text.ts";
import { type Admission, LOCAL, type Principal } from "../../protocol/exchange.ts";

/** An {@link Admission} that ends at a time, or when what stands behind it is taken away. */
export class Pass implements Admission {
  /** When somebody was last let in by it; milliseconds since the epoch. */
  usedAt: number | undefined;

  constructor(
    readonly principal: Principal,
    /** Milliseconds since the epoch. */
    public until = Infinity,
    private readonly source: { gone: boolean } = { gone: false },
  ) {}

  holds(now: number): boolean {
    return now < this.until && !this.source.gone;
  }

  /** What it was made from is no longer in the configuration. */
  end(): void {
    this.until = -Infinity;
  }
}

/** What a credential lacks that lets nobody in. */
export interface CredentialFault {
  readonly why: "expired" | "invalid";
  /** Whoever shows it has it rightly: it is old, or for another place, and nobody guesses. */
  readonly genuine: boolean;
  /** The verdict may be another one from then on, where that is soon; ms since the epoch. */
  readonly until?: number | undefined;
}

/** A credential that lets nobody in, or none. */
export class WrongCredential extends Error {
  constructor(readonly fault?: CredentialFault) {
    super(fault?.why ?? "missing");
  }
}

/** Nobody can say now whether a token is right, but maybe in so many seconds. */
export class UndecidableError extends Error {
  constructor(message = NO_KEYS, readonly seconds = 5) {
    super(message);
  }
}

const NO_KEYS = "Cannot verify the token now: the keys of its issuer cannot be had";

/** Entries of a map that forgets the oldest. */
const MOST = 4_096;

/** Puts something into such a map. */
export function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  putLast(map, key, value, MOST);
}

/** What stands for a text that is secret, or long. */
export function digestOf(text: string): string {
  return nodeCrypto().hash("sha256", text, "hex");
}

/** What in `access` is no name of a person, whatever an issuer or a proxy calls somebody. */
const RESERVED = /^(\*$|(key|group|scope):)/;

/** Characters of what people call somebody. */
const LONGEST_NAME = 100;

/**
 * Somebody that others vouch for: by a name, where there is one, and with groups and scopes.
 * @param other what people call those without a name
 */
export function principalOf(
  id: string,
  name: string | undefined,
  more: readonly string[],
  other = id,
): Principal {
  const isName = name !== undefined && !RESERVED.test(name);
  // Audit and log must accuse nobody else: neither the holder of a key, nor the gateway's own
  // commands, nor whoever's long name begins alike.
  const called = [name, other].find((one = "*") => one !== LOCAL.who && !RESERVED.test(one)) ?? id;
  const mark = called.length > LONGEST_NAME ? digestOf(called).slice(0, 12) : "";
  return { id, who: cut(called, LONGEST_NAME) + mark, names: isName ? [name, ...more] : more };
}
