/**
 * The grants of this user: what a login has brought, in one file that the gateway, other gateways
 * and `mcproxy login` read and write.
 */

import { dirname, join } from "node:path";
import * as v from "valibot";
import { loadCredentials } from "../../config/credentials.ts";
import { attempt, isObject, shortHash } from "../../lib/json.ts";
import { exclusively, FileError } from "../../lib/lock-file.ts";
import { jsonIn, readPrivate, replaceFile, stateDirectory } from "../../lib/own-file.ts";
import { keepSecret } from "../../lib/secrets.ts";
import { messageOf } from "../../lib/text.ts";

/** What may stand in a header. */
export const ACCESS_TOKEN = /^[\x21-\x7E]+$/;

const text = v.string("expected a text");
const url = v.pipe(text, v.check((given) => URL.canParse(given), "expected a URL"));
const SINCE = "expected milliseconds since 1970";
/** No date is later. */
const time = v.pipe(v.number(SINCE), v.minValue(0, SINCE), v.maxValue(8.64e15, SINCE));
const object = ({ expected }: { readonly expected: string | null }) =>
  expected === "Object" ? "expected an object" : "is missing";

/** How the secret of a client is shown. */
const CLIENT_AUTH = ["basic", "post", "none", "private_key_jwt"] as const;

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
    auth: v.picklist(CLIENT_AUTH, `expected one of ${CLIENT_AUTH}`),
  }, object),
  /** Sent with every request for a token; absent where it is not to be sent. */
  resource: v.optional(text),
  scope: v.optional(text),
  accessToken: v.pipe(text, v.regex(ACCESS_TOKEN, "expected what may stand in a header")),
  refreshToken: v.optional(text),
  issuedAt: time,
  /** When somebody has logged in: what comes by renewal keeps it. */
  loginAt: v.optional(time),
  expiresAt: v.optional(time),
  /** Why it is of no use any more, and since when. It is kept, for people to read. */
  dead: v.optional(v.object({ reason: text, at: time }, object)),
}, object);

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

/** What is secret in a grant that is used is shown nowhere from now on. */
export function hideSecrets({ accessToken, refreshToken, client, url, ...key }: Grant): void {
  for (const one of [accessToken, refreshToken, client.secret]) keepSecret(one, grantId(key) + url);
}

/** The grant that this is, or why it is none: a sentence that names the member. */
export function grantIn(value: unknown): Grant | string {
  const { success, output, issues } = v.safeParse(grantSchema, value);
  if (success) return output;
  return `${v.getDotPath(issues[0]) ?? "a grant"}: ${issues[0].message}`;
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

  /** `stateKey` gives `MCPROXY_STATE_KEY`, where there is one: the file is encrypted then. */
  constructor(
    directory: string,
    private readonly stateKey?: () => Promise<string | undefined>,
    private readonly more: Pick<GrantPlace, "owner" | "counts"> = {},
  ) {
    this.path = join(directory, "grants.json");
  }

  /** @throws {FileError} */
  async read(): Promise<readonly Grant[]> {
    return (await this.#all()).filter(this.more.counts ?? (() => true));
  }

  async #all(): Promise<readonly Grant[]> {
    const read = await readPrivate(this.path, this.more.owner);
    if (read === undefined) return [];
    if (!read.ok) throw this.#unusable(read.reason, "mend that, or move it away, and log in again");
    const content = jsonIn(read.value) ?? await this.#decrypted(read.value);
    if (!isObject(content) || content.version !== 1 || !Array.isArray(content.grants)) {
      throw this.#unusable("found no grants in it", "move it away, and log in again");
    }
    // Whatever else is in it was not written by us.
    return content.grants.filter((one) => v.is(grantSchema, one));
  }

  /** @throws {FileError} */
  async find(key: GrantKey): Promise<Grant | undefined> {
    const found = (await this.read()).find((grant) => isOf(grant, key));
    if (found !== undefined) hideSecrets(found);
    return found;
  }

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

  #change(edit: (all: readonly Grant[]) => readonly Grant[]): Promise<void> {
    return exclusively(`${this.path}.lock`, async () => {
      const content = { version: 1, grants: [...edit(await this.#all())] };
      const key = await this.#key();
      const text = key === undefined
        ? `${JSON.stringify(content, undefined, 2)}\n`
        : await new (await import("jose/jwt/encrypt")).EncryptJWT(content)
          .setProtectedHeader({ alg: "dir", enc: "A256GCM" }).encrypt(key);
      const { owner } = this.more;
      await replaceFile(this.path, new TextEncoder().encode(text), owner).catch((error) => {
        throw this.#unusable(messageOf(error), "check its directory");
      });
    });
  }

  async #key(): Promise<Uint8Array | undefined> {
    const text = (await this.stateKey?.())?.trim();
    if (!text) return undefined;
    keepSecret(text);
    const alphabet = /[-_]/.test(text) ? "base64url" : "base64";
    const bytes = attempt(() => Uint8Array.fromBase64(text, { alphabet }));
    if (bytes?.length === 32) return bytes;
    throw this.#unusable("MCPROXY_STATE_KEY is no key", "make one: openssl rand -base64 32");
  }

  async #decrypted(bytes: Uint8Array): Promise<unknown> {
    const key = await this.#key();
    const remedy =
      "set the MCPROXY_STATE_KEY it was written with, or move it away, and log in again";
    if (key === undefined) throw this.#unusable("it is encrypted, or damaged", remedy);
    const { jwtDecrypt } = await import("jose/jwt/decrypt");
    const how = { keyManagementAlgorithms: ["dir"], contentEncryptionAlgorithms: ["A256GCM"] };
    try {
      return (await jwtDecrypt(new TextDecoder().decode(bytes).trim(), key, how)).payload;
    } catch {
      throw this.#unusable("it is encrypted with another key, or damaged", remedy);
    }
  }

  #unusable(why: string, remedy: string): FileError {
    return new FileError(`cannot use ${this.path}: ${why}; ${remedy}`);
  }
}

const isOf = (grant: Grant, key: GrantKey) => grantId(grant) === grantId(key);
