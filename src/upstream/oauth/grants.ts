/**
 * The grants of this user: what a login has brought, in one file that the gateway, other gateways
 * and `mcproxy login` read and write.
 */

import { link, lstat, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { loadCredentials } from "../../config/credentials.ts";
import { attempt, isObject, type Json, shortHash } from "../../lib/json.ts";
import { jsonIn, readPrivateFile, replaceFile, stateDirectory } from "../../lib/own-file.ts";
import { codeOf } from "../../lib/text.ts";
import { pause, systemClock } from "../../lib/time.ts";
import { keepSecret, type Token, type TokenClient } from "./token.ts";

/** What a login has brought, for one server and one principal. Times are ms since the epoch. */
export interface Grant extends Token {
  readonly server: string;
  /** Whose it is; empty for the gateway's own, which is for everybody. */
  readonly principal: string;
  /** The address it was made for: it goes to no other. */
  readonly url: string;
  readonly issuer: string;
  readonly tokenEndpoint: string;
  readonly client: TokenClient;
  /** Sent with every request for a token; absent where it is not to be sent. */
  readonly resource?: string | undefined;
  /** Why it is of no use any more, and since when. It is kept, for people to read. */
  readonly dead?: { readonly reason: string; readonly at: number } | undefined;
}

/** What there can be no two of. */
export type GrantKey = Pick<Grant, "server" | "principal">;

/** The file cannot be used; the message is a sentence with the remedy. */
export class GrantFileError extends Error {
  override readonly name = "GrantFileError";
}

/** Where a process finds the file, and the key to it. */
export interface GrantPlace {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The credentials file that a flag names. */
  readonly credentials?: string | undefined;
}

/** The file of this user; undefined where there is no place for it. */
export function grantFileIn({ env, cwd, credentials: path }: GrantPlace): GrantFile | undefined {
  const directory = stateDirectory(env);
  const name = "MCPROXY_STATE_KEY";
  const key = async () => env[name] || (await loadCredentials({ env, cwd, path })).values.get(name);
  return directory === undefined ? undefined : new GrantFile(directory, key);
}

/** How long whoever holds a lock may take, in ms; then they count as killed. */
const STALE = 30_000;
/** And how long one waits for it. */
const PATIENCE = 45_000;

/** The file with the grants. It is read anew each time: others write it, too. */
export class GrantFile {
  readonly path: string;

  /** `stateKey` gives `MCPROXY_STATE_KEY`, where there is one: the file is encrypted then. */
  constructor(
    directory: string,
    private readonly stateKey: () => Promise<string | undefined> = () => Promise.resolve(undefined),
  ) {
    this.path = join(directory, "grants.json");
  }

  /** Changes whenever the file does; empty where there is none. */
  async version(): Promise<string> {
    const found = await lstat(this.path).catch(() => undefined);
    return found === undefined ? "" : [found.ino, found.size, found.mtimeMs, found.ctimeMs].join();
  }

  /** @throws {GrantFileError} */
  async read(): Promise<readonly Grant[]> {
    const read = await readPrivateFile(this.path);
    if (read === undefined) return [];
    if (!read.ok) throw this.#unusable(read.reason, "mend that, or move it away, and log in again");
    const content = jsonIn(read.value) ?? jsonIn(await this.#decrypted(read.value));
    if (!isObject(content) || content.version !== 1 || !Array.isArray(content.grants)) {
      throw this.#unusable("found no grants in it", "move it away, and log in again");
    }
    const grants = content.grants.filter(isGrant);
    for (const { accessToken, refreshToken, client } of grants) {
      for (const secret of [accessToken, refreshToken, client.secret]) keepSecret(secret ?? "");
    }
    return grants;
  }

  /** @throws {GrantFileError} */
  async find(key: GrantKey): Promise<Grant | undefined> {
    return (await this.read()).find((grant) => isOf(grant, key));
  }

  /** Puts a grant in the place of the one there was. @throws {GrantFileError} */
  put(grant: Grant): Promise<void> {
    return this.#change((all) => [...all.filter((one) => !isOf(one, grant)), grant]);
  }

  /** The same, unless there is a newer one meanwhile, or none any more. @throws {GrantFileError} */
  replace(grant: Grant): Promise<void> {
    return this.#change((all) =>
      all.map((one) => isOf(one, grant) && one.issuedAt <= grant.issuedAt ? grant : one)
    );
  }

  /** @throws {GrantFileError} */
  remove(key: GrantKey): Promise<void> {
    return this.#change((all) => all.filter((one) => !isOf(one, key)));
  }

  /** Does something about one grant that nobody else does at the same time, in any process. */
  exclusively<T>({ server, principal }: GrantKey, work: () => Promise<T>): Promise<T> {
    const name = shortHash(JSON.stringify([server, principal]), 16);
    return locked(join(dirname(this.path), `grants.${name}.lock`), work);
  }

  #change(edit: (all: readonly Grant[]) => readonly Grant[]): Promise<void> {
    return locked(`${this.path}.lock`, async () => {
      const grants = edit(await this.read()) as unknown as Json;
      const text = `${JSON.stringify({ version: 1, grants }, undefined, 2)}\n`;
      await replaceFile(this.path, await this.#encrypted(new TextEncoder().encode(text)));
    });
  }

  async #key(): Promise<Uint8Array | undefined> {
    const text = (await this.stateKey())?.trim();
    if (!text) return undefined;
    keepSecret(text);
    const alphabet = /[-_]/.test(text) ? "base64url" : "base64";
    const bytes = attempt(() => Uint8Array.fromBase64(text, { alphabet }));
    if (bytes?.length === 32) return bytes;
    throw this.#unusable("MCPROXY_STATE_KEY is no key", "make one: openssl rand -base64 32");
  }

  async #encrypted(bytes: Uint8Array): Promise<Uint8Array> {
    const key = await this.#key();
    if (key === undefined) return bytes;
    const { CompactEncrypt } = await import("jose/jwe/compact/encrypt");
    const encrypt = new CompactEncrypt(bytes).setProtectedHeader({ alg: "dir", enc: "A256GCM" });
    return new TextEncoder().encode(await encrypt.encrypt(key));
  }

  async #decrypted(bytes: Uint8Array): Promise<Uint8Array> {
    const key = await this.#key();
    const remedy = "set the MCPROXY_STATE_KEY it was written with, or log in again without it";
    if (key === undefined) throw this.#unusable("it is encrypted, or damaged", remedy);
    const { compactDecrypt } = await import("jose/jwe/compact/decrypt");
    try {
      const how = { keyManagementAlgorithms: ["dir"], contentEncryptionAlgorithms: ["A256GCM"] };
      return (await compactDecrypt(new TextDecoder().decode(bytes).trim(), key, how)).plaintext;
    } catch {
      throw this.#unusable("it is encrypted with another key, or damaged", remedy);
    }
  }

  #unusable(why: string, remedy: string): GrantFileError {
    return new GrantFileError(`cannot use ${this.path}: ${why}; ${remedy}`);
  }
}

function isOf(grant: Grant, { server, principal }: GrantKey): boolean {
  return grant.server === server && grant.principal === principal;
}

/** Whatever else is in the file was not written by us. */
function isGrant(value: Json): value is Json & Grant {
  if (!isObject(value) || !isObject(value.client)) return false;
  const { server, principal, url, issuer, tokenEndpoint, accessToken, client, issuedAt } = value;
  return [server, principal, issuer, accessToken, client.id].every((one) =>
    typeof one === "string"
  ) &&
    [url, tokenEndpoint].every((one) => typeof one === "string" && URL.canParse(one)) &&
    typeof issuedAt === "number" && /^[\x21-\x7E]+$/.test(String(accessToken)) &&
    /^(basic|post|none|private_key_jwt)$/.test(String(client.auth));
}

/** What this process holds or waits for itself, so that it does not wait for its own file. */
const QUEUES = new Map<string, Promise<unknown>>();

/** One at a time, in this process and in all that see the directory. */
async function locked<T>(path: string, work: () => Promise<T>): Promise<T> {
  const before = QUEUES.get(path);
  const turn = (before ?? Promise.resolve()).then(
    () => withFile(path, work),
    () => withFile(path, work),
  );
  QUEUES.set(path, turn);
  try {
    return await turn;
  } finally {
    if (QUEUES.get(path) === turn) QUEUES.delete(path);
  }
}

async function withFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  const mine = crypto.randomUUID();
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const overdue = Date.now() + PATIENCE;
  while (!await created(path, mine)) {
    if (Date.now() > overdue) throw new GrantFileError(`cannot lock ${path}: another holds it`);
    await removeStale(path);
    await pause(20 + 40 * Math.random(), systemClock);
  }
  try {
    return await work();
  } finally {
    // Who took too long may have lost it.
    if (await readFile(path, "utf8").catch(() => "") === mine) await rm(path, { force: true });
  }
}

async function created(path: string, content: string): Promise<boolean> {
  try {
    await writeFile(path, content, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw new GrantFileError(`cannot write ${path}: ${codeOf(error)}; check its directory`);
  }
}

/** Takes away what a process left behind that was killed; of two that see it, one. */
async function removeStale(path: string): Promise<void> {
  const seen = await lstat(path).catch(() => undefined);
  if (seen === undefined || Math.abs(Date.now() - seen.mtimeMs) < STALE) return;
  const aside = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await rename(path, aside);
    const { ino, mtimeMs } = await lstat(aside);
    // Another was quicker, and this is already the next one's.
    if (ino !== seen.ino || mtimeMs !== seen.mtimeMs) await link(aside, path).catch(() => {});
    await rm(aside, { force: true });
  } catch {
    // Somebody else does it.
  }
}
