/** Finds secrets that stand in entries as they are, and puts variables in their place. Pure. */

import { isNamedSecret, looksSecret, secretsOfUrl } from "../../config/secrets.ts";
import { isRawObject, type RawObject } from "../../config/section.ts";

/** Gives names to values: one value has one name, and no name gets a second value. */
export class CredentialNames {
  readonly #taken: Map<string, string>;
  readonly #added = new Map<string, string>();
  readonly #env: Readonly<Record<string, string | undefined>>;

  /** `existing` are the credentials that are there; the environment comes before them. */
  constructor(
    existing: ReadonlyMap<string, string>,
    env: Readonly<Record<string, string | undefined>>,
  ) {
    this.#taken = new Map(existing);
    this.#env = env;
  }

  /** Credentials to be written. */
  get added(): ReadonlyMap<string, string> {
    return this.#added;
  }

  /** The name of a value: the first of the candidates that is free or has this value already. */
  nameOf(value: string, candidates: readonly string[]): string {
    const names = candidates.map(variableName);
    const last = names.at(-1)!;
    for (let count = 0;; count++) {
      const name = names[count] ?? `${last}_${count - names.length + 2}`;
      const inherited = this.#env[name];
      if (inherited && inherited !== value) continue;
      const other = this.#taken.get(name);
      if (other === undefined) {
        this.#taken.set(name, value);
        this.#added.set(name, value);
        return name;
      }
      if (other === value) return name;
    }
  }
}

function variableName(text: string): string {
  const name = text.toUpperCase().replaceAll(/[^A-Z0-9_]+/g, "_").replaceAll(/^_+|_+$/g, "");
  return /^[A-Z_]/.test(name) ? name : `_${name}`;
}

/** An entry without literal secrets, and how many there were. */
export interface Moved {
  readonly entry: RawObject;
  readonly count: number;
}

/** Moves the secrets of the server `name` into `names`. */
export function moveSecrets(name: string, entry: RawObject, names: CredentialNames): Moved {
  let count = 0;
  const put = (value: string, ...candidates: string[]): string => {
    count++;
    return `\${${names.nameOf(value, candidates)}}`;
  };
  const inText = (key: string, text: string, ...candidates: string[]): string => {
    // What has a variable in it is not literal; what is written around it is not looked at.
    if (text.includes("${")) return text;
    if (text.includes("://")) return inUrl(text, candidates.at(-1) ?? `${name}_${key}`, put);
    const [, scheme, token] = /^((?:Bearer|Basic|Token)\s+)(\S+)$/i.exec(text) ?? [];
    if (scheme !== undefined && token !== undefined) return scheme + put(token, ...candidates);
    return looksSecret(key, text) ? put(text, ...candidates) : text;
  };
  const moved: Record<string, unknown> = { ...entry };
  const { env, headers, args, url, auth } = entry;
  if (isRawObject(env)) {
    moved["env"] = mapTexts(env, (key, text) => inText(key, text, key, `${name}_${key}`));
  }
  if (isRawObject(headers)) {
    moved["headers"] = mapTexts(headers, (key, text) => inText(key, text, headerName(name, key)));
  }
  if (isRawObject(auth)) {
    moved["auth"] = mapTexts(auth, (key, text) => inText(key, text, `${name}_${key}`));
  }
  if (typeof url === "string" && !url.includes("${")) {
    moved["url"] = inUrl(url, `${name}_KEY`, put);
  }
  if (Array.isArray(args)) {
    moved["args"] = args.map((arg: unknown, at) => {
      if (typeof arg !== "string" || arg.includes("${")) return arg;
      const [, start, option, value] = /^(--?([\w-]+)=)(.*)$/s.exec(arg) ?? [];
      if (start !== undefined && option !== undefined && value !== undefined) {
        return start + inText(option, value, `${name}_${option}`);
      }
      const before = /^--?([\w-]+)$/.exec(String(args[at - 1] ?? ""))?.[1];
      const header = /^([\w-]+:\s*)(.+)$/s.exec(arg);
      if (before === "header" && header !== null) {
        const key = header[1]!.replace(/:\s*$/, "");
        return header[1]! + inText(key, header[2]!, headerName(name, key));
      }
      if (arg.includes("://")) return inUrl(arg, `${name}_KEY`, put);
      // Only an option says what a word behind it is; random ones are names of packages, too.
      return before !== undefined && !arg.startsWith("-") && isNamedSecret(before, arg)
        ? put(arg, `${name}_${before}`)
        : arg;
    });
  }
  return { entry: count === 0 ? entry : moved, count };
}

function headerName(server: string, header: string): string {
  return `${server}_${/^authorization$/i.test(header) ? "token" : header}`;
}

function mapTexts(map: RawObject, change: (key: string, text: string) => string): RawObject {
  const copy: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(map)) {
    copy[key] = typeof value === "string" ? change(key, value) : value;
  }
  return copy;
}

/** As they stand in the text, percent signs and all. */
function inUrl(
  url: string,
  candidate: string,
  put: (value: string, ...candidates: string[]) => string,
): string {
  return [...new Set(secretsOfUrl(url))]
    .filter((secret) => secret.length >= 4 && url.includes(secret))
    .sort((a, b) => b.length - a.length)
    .reduce((text, secret) => {
      const at = text.lastIndexOf(secret);
      return at === -1
        ? text
        : text.slice(0, at) + put(secret, candidate) + text.slice(at + secret.length);
    }, url);
}
