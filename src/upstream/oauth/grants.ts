/**
 * The grants of this user: what a login has brought, in one file that the gateway, other gateways
 * and `mcproxy login` read and write.
 */

import { dirname, join } from "node:path";
import * as v from "valibot";
import { loadCredentials } from "../../config/credentials.ts";
import { type Json, shortHash } from "../../lib/json.ts";
import { exclusively } from "../../lib/lock-file.ts";
import { stateDirectory } from "../../lib/own-file.ts";
import { keepSecret } from "../../lib/secrets.ts";
import { StateFile } from "../../lib/state-file.ts";
import { loginAddress } from "../../protocol/issuer.ts";

/** What may stand in a header. */
export const ACCESS_TOKEN = /^[\x21-\x7E]+$/;

const text = v.string();
const url = v.pipe(text, v.url());
/** Milliseconds since 1970; no date is later. */
const time = v.pipe(v.number(), v.minValue(0), v.maxValue(8.64e15));

/** Of a {@link Grant}. */
const grantSchema = v.object({
  server: text,
  /** Whose it is; empty for the gateway's own, which is for everybody. */
  principal: text,
  /** By which key he has come, who comes by one: another of that name is somebody else. */
  keyMark: v.optional(text),
  /** The address it was made for: it goes to no other. */
  url,
  issuer: url,
  tokenEndpoint: url,
  client: v.object({
    id: text,
    secret: v.optional(text),
    /** How the secret is shown. */
    auth: v.picklist(["basic", "post", "none", "private_key_jwt"]),
  }),
  /** Sent with every request for a token; absent where it is not to be sent. */
  resource: v.optional(text),
  scope: v.optional(text),
  accessToken: v.pipe(text, v.regex(ACCESS_TOKEN)),
  refreshToken: v.optional(text),
  issuedAt: time,
  /** When somebody has logged in: what comes by renewal keeps it. */
  loginAt: v.optional(time),
  expiresAt: v.optional(time),
  /** Why it is of no use any more, and since when. It is kept, for people to read. */
  dead: v.optional(v.object({ reason: text, at: time })),
});

const fileSchema = v.object({ version: v.literal(1), grants: v.array(v.unknown()) });

/** What a login has brought, for one server and one principal. Times are ms since the epoch. */
export type Grant = Readonly<v.InferOutput<typeof grantSchema>>;

/** What there can be no two of. */
export type GrantKey = Pick<Grant, "server" | "principal">;

/** That as one text. */
export function grantId({ server, principal }: Partial<GrantKey>): string {
  return JSON.stringify([server, principal]);
}

/** As a sort puts them: a later login counts more than what an earlier one has brought since. */
export const byAge = (a: Grant, b: Grant) =>
  (a.loginAt ?? 0) - (b.loginAt ?? 0) || a.issuedAt - b.issuedAt;

/** What is secret in a grant that is used, or is about to be one, is shown nowhere from now on. */
export function hideSecrets({ accessToken, refreshToken, client, ...of }: Partial<Grant>): void {
  for (const one of [accessToken, refreshToken, client?.secret]) {
    keepSecret(one, grantId(of) + of.url);
  }
}

/** The grant that this is, or why it is none: a sentence that names the member. */
export function grantIn(value: unknown): Grant | string {
  const { success, output, issues } = v.safeParse(grantSchema, value);
  if (success) return output;
  const { expected, received, type } = issues[0];
  // Not what was found there, which may be a secret.
  const why = received === "undefined" ? "is missing" : `expected ${expected ?? type}`;
  return `${v.getDotPath(issues[0]) ?? "a grant"}: ${why}`;
}

/** Where a process finds the file, and the key to it. */
export interface GrantPlace {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The credentials file that a flag names. */
  readonly credentials?: string | undefined;
  /** @default that of this user */
  readonly directory?: string;
  /** Whose the file is, by id, where root acts for another user. */
  readonly owner?: number | undefined;
  /** Whose grants count; the others are kept, and are for nobody. By default all. */
  readonly counts?: ((grant: Grant) => boolean) | undefined;
}

/** The file of this user; undefined where there is no place for it. */
export function grantFileIn(
  { env, cwd, credentials: path, directory = stateDirectory(env), ...more }: GrantPlace,
): GrantFile | undefined {
  const name = "MCPROXY_STATE_KEY";
  const key = async () => env[name] || (await loadCredentials({ env, cwd, path })).values.get(name);
  return directory === undefined ? undefined : new GrantFile(directory, key, more);
}

/** The file with the grants. It is read anew each time: others write it, too. */
export class GrantFile {
  readonly path: string;
  /** Whether a grant counts at this moment. */
  readonly counts: (grant: Grant) => boolean;
  readonly #file: StateFile;

  /** `key` gives `MCPROXY_STATE_KEY`, where there is one: the file is encrypted then. */
  constructor(
    directory: string,
    key?: () => Promise<string | undefined>,
    { owner, counts = () => true }: Pick<GrantPlace, "owner" | "counts"> = {},
  ) {
    this.path = join(directory, "grants.json");
    this.counts = counts;
    const remedy = "move it away, and log in again";
    this.#file = new StateFile(this.path, { owner, key, remedy });
  }

  /** Those that count. @throws {FileError} */
  async read(): Promise<readonly Grant[]> {
    return this.#grantsIn(await this.#file.read()).filter(this.counts);
  }

  /** @throws {FileError} */
  async find(key: GrantKey): Promise<Grant | undefined> {
    const found = (await this.read()).find((grant) => isOf(grant, key));
    if (found !== undefined) hideSecrets(found);
    return found;
  }

  /**
   * Whether one could be put there now; a grant that somebody renews meanwhile is nothing to wait
   * for. @throws {FileError} which says why not
   */
  readonly check = (): Promise<void> => this.#file.change((all) => void this.#grantsIn(all));

  /** Puts a grant in the place of the one there was. @throws {FileError} */
  put(grant: Grant): Promise<void> {
    return this.#change((all) => [...all.filter((one) => !isOf(one, grant)), grant]);
  }

  /** The same, unless there is a newer one meanwhile, or none any more. @throws {FileError} */
  replace(grant: Grant): Promise<void> {
    return this.#change((all) =>
      all.map((one) => isOf(one, grant) && byAge(one, grant) <= 0 ? grant : one)
    );
  }

  /** @throws {FileError} */
  remove(key: GrantKey): Promise<void> {
    return this.#change((all) => all.filter((one) => !isOf(one, key)));
  }

  /** Does something about one grant that nobody else does at the same time, in any process. */
  exclusively<T>(key: GrantKey, work: () => Promise<T>): Promise<T> {
    const name = shortHash(grantId(key), 16);
    return exclusively(join(dirname(this.path), `grants.${name}.lock`), work);
  }

  /** Whether a grant may be used at this address. */
  serves(grant: Grant, url: string): boolean {
    return this.counts(grant) && loginAddress(grant.url) === loginAddress(url);
  }

  #change(edit: (all: readonly Grant[]) => readonly Grant[]): Promise<void> {
    return this.#file.change((content) => ({ version: 1, grants: edit(this.#grantsIn(content)) }));
  }

  #grantsIn(content: Json = { version: 1, grants: [] }): readonly Grant[] {
    const { success, output } = v.safeParse(fileSchema, content);
    if (!success) throw this.#file.unusable("found no grants in it");
    // Whatever else is in it was not written by us.
    return output.grants.filter((one) => v.is(grantSchema, one));
  }
}

const isOf = (grant: Grant, key: GrantKey) => grantId(grant) === grantId(key);
