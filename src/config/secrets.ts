/** Which values of a configuration must not be seen in logs, status or errors. */

import { attempt, decodedPercent } from "../lib/json.ts";
import { isMaskable } from "../lib/secrets.ts";
import type { UsedVariable } from "./expand.ts";
import type { ClientConfig, Config, HttpTarget, StdioTarget } from "./types.ts";

/** Variables that name places and people, not secrets; any other may hold one. */
const HARMLESS_VARIABLE =
  /^(HOST|PORT|HOME|USER|LOGNAME|USERNAME|USERPROFILE|PWD|PATH|SHELL|LANG|LC_\w+|TERM|TZ|HOSTNAME|TMPDIR|TMP|TEMP|APPDATA|LOCALAPPDATA|XDG_\w+|\w*_(HOST|PORT|DIR|LEVEL))$/;

const SECRET_NAME =
  /token(?!s$)|secret|passw|passphrase|pwd|api[-_]?key|apikey|auth(?!or)|authoriz|credential|cookie|signature|private[-_]?key|^(key|sig|code)$|(^|[-_])(pin|pat|pass)$/i;

/** What is told of a secret under such a name: `--token-file`, `AUTH_MODE`. */
const ABOUT_SECRET =
  /[a-z\d][-_]?(file|path|dir|host|port|mode|type|method|name|limit|count|size|ttl|scopes?|provider|enabled)$/i;

/** What separates the words of a text. */
const BETWEEN_WORDS = /[^\p{L}\p{M}\d]+/u;

/** Words, numbers and what has both in order: `us-east-1`, `utf8`, `gpt-4o`, `30s`. */
const PLAIN_WORD = /^([\p{L}\p{M}]{0,31}\d{0,4}|\d+[A-Za-z]{0,2}|.{0,5})$/u;

/** What a log is full of; a path has letters and digits in any order. URLs are looked at alone. */
function looksPlain(text: string): boolean {
  if (text.includes("://")) return true;
  const words = text.split(BETWEEN_WORDS);
  const isPath = /^(~|\.{0,2}[\/\\]|[A-Za-z]:[\/\\])/.test(text);
  if (isPath) return !words.some(looksRandom);
  return words.every((word) => PLAIN_WORD.test(word)) && !/^(?=.*\p{L})\S*[!#$^%]\S*$/u.test(text);
}

/** Whether a value is treated as a secret, by the name it has or by the look of it. */
function isSecret(name: string, value: string): boolean {
  return isNamedSecret(name, value) || looksSecret(name, value) || !looksPlain(value);
}

/** Long runs of letters and digits mixed, as keys in URLs are. */
function looksRandom(text: string): boolean {
  return /^[\w~.+/=-]{20,}$/.test(text) && /\d/.test(text) && /[A-Za-z]/.test(text);
}

/**
 * The values among those that expressions brought in that must be treated as secrets: all of files,
 * commands and credentials, and of the environment those whose name is not known to be harmless.
 */
export function secretsOfVariables(used: readonly UsedVariable[]): string[] {
  return used
    .filter(({ name, from }) =>
      from === "secret" || (from === "environment" && !HARMLESS_VARIABLE.test(name))
    )
    .filter(({ name, value, from }) => from === "secret" || isSecret(name, value))
    .map(({ value }) => value);
}

/**
 * Every text of at least four characters that a log or an error must not contain, longest first
 * (so that replacing one never leaves half of another): header values and the token in them,
 * credentials in URLs and in arguments, and of `env` and of what variables brought in the values
 * that are secrets by their name or look. Left out are words such as "debug" or "8080" that are
 * nobody's secret, and what the name of a server contains: that is in every line.
 */
export function collectSecrets(config: Config): readonly string[] {
  const secrets = new Set<string>();
  const names = [...config.servers.keys()];
  const add = (text: string): void => {
    // Without a line break at its end, too: that is how it turns up elsewhere.
    for (const form of [text, text.trim()]) {
      if (isMaskable(form) && !names.some((name) => name.includes(form))) secrets.add(form);
    }
  };
  config.expandedSecrets.forEach(add);
  const { auth, embeddings, otel, alerts } = config.settings;
  (auth?.issuers ?? []).flatMap(({ jwks = "" }) => secretsOfUrl(jwks)).forEach(add);
  if (embeddings !== undefined) {
    [embeddings.apiKey ?? "", ...secretsOfUrl(embeddings.url)].forEach(add);
  }
  if (otel !== undefined) secretsOfHttp({ url: otel.endpoint, headers: otel.headers }).forEach(add);
  for (const channel of alerts?.to ?? []) {
    const found = channel.kind === "command"
      ? secretsOfStdio({ env: {}, args: channel.command })
      : [channel.url, ...secretsOfUrl(channel.url)];
    found.forEach(add);
  }
  for (const { instances } of config.servers.values()) {
    for (const target of instances) {
      const found = target.kind === "http" ? secretsOfHttp(target) : secretsOfStdio(target);
      found.forEach(add);
    }
  }
  return [...secrets].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
}

function secretsOfHttp(target: Pick<HttpTarget, "url" | "headers" | "login">): string[] {
  const secrets = secretsOfUrl(target.url);
  const { clientSecret = "", privateKey = "" } = (target.login ?? {}) as Partial<ClientConfig>;
  secrets.push(clientSecret, privateKey);
  for (const value of Object.values(target.headers)) {
    secrets.push(value);
    // "Bearer abc": the token turns up without its scheme, too.
    const token = /^\S+\s+(\S.*)$/.exec(value.trim())?.[1];
    if (token === undefined) continue;
    secrets.push(token);
    if (/^basic\s/i.test(value.trim())) {
      const decoded = attempt(() => atob(token));
      const password = decoded?.slice(decoded.indexOf(":") + 1);
      if (decoded !== undefined) secrets.push(decoded);
      if (password !== undefined) secrets.push(password);
    }
  }
  return secrets;
}

function secretsOfStdio({ env, args }: Pick<StdioTarget, "env" | "args">): string[] {
  const secrets = Object.entries(env).flatMap(([name, value]) =>
    isSecret(name, value) ? [value] : secretsOfText(value)
  );
  // A shell's command line is one argument.
  const lines = args.filter((arg) => /\s/.test(arg)).map((arg) => arg.split(/\s+/));
  return [...secrets, ...args.flatMap(secretsOfText), ...[args, ...lines].flatMap(secretsOfWords)];
}

/** `--token abc`, `--token=abc`, `-t abc`, and what looks like a key wherever it stands. */
function secretsOfWords(words: readonly string[]): string[] {
  return words.flatMap((word, index) => {
    const [, option, given] = /^--?([\w-]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (option === undefined) return looksSecret("", word) ? [word] : [];
    const value = given ?? words[index + 1];
    if (value === undefined || (given === undefined && /^--?[a-z]/i.test(value))) return [];
    // One letter says little: -t is a token, or a transport.
    const short = /^[tkpP]$/.test(option) && /\d/.test(value) && /\p{L}/u.test(value);
    return isNamedSecret(option, value) || (short && isMaskable(value)) ? [value] : [];
  });
}

/** `NAME=value`, `"name": "value"`, `Name: value`; the value may begin another such pair. */
const PAIRS = /([\w.-]+)["']?\s*[=:]\s*(?=["']?(?:(?:bearer|basic|token)\s+)?([^\s"',;&{}]+))/gi;

/** Secrets that the text itself names, and credentials in the URLs in it. */
export function secretsOfText(text: string): string[] {
  const secrets = (text.match(/[a-z][a-z\d+.-]*:\/\/[^\s"'<>]+/gi) ?? []).flatMap(secretsOfUrl);
  for (const [, name = "", value = ""] of text.matchAll(PAIRS)) {
    if (isNamedSecret(name, value)) secrets.push(value);
  }
  // All of it belongs to the name.
  const [, name, value] = /^(?:-{1,2}\w+[= ])?([\w-]+)\s*[=:]\s*(?!\/)(.+)$/s.exec(text) ?? [];
  if (name !== undefined && value !== undefined && isSecret(name, value)) secrets.push(value);
  return secrets;
}

/** Whether the name (of a variable, header or option) says that the value is a secret. */
export function isNamedSecret(name: string, value: string): boolean {
  return isMaskable(value) && !ABOUT_SECRET.test(name) &&
    (SECRET_NAME.test(name) || /[-_]key$/i.test(name) || /[a-z\d](Pat|Pin|Pass|Key)$/.test(name));
}

/** How the keys of well-known services begin. */
const KEY_PREFIX = /^(sk|pk|rk|pplx|hf|npm|gh[opsu]|github_pat|glpat|xox[abps])[-_]|^(AIza|AKIA)/;

/** Whether a value is most likely a secret, by the name it has or by the look of it. */
export function looksSecret(name: string, value: string): boolean {
  if (isNamedSecret(name, value)) return true;
  // Names of models, packages and places are long and have digits in them, too.
  if (!looksRandom(value) || /[./]/.test(value)) return false;
  return KEY_PREFIX.test(value) || /^[\da-f-]{32,}$/i.test(value) ||
    (/[A-Z]/.test(value) && /[a-z]/.test(value));
}

/** User information, secret-looking query values and path segments; nothing for other text. */
export function secretsOfUrl(text: string): string[] {
  if (!text.includes("://") || !URL.canParse(text)) return [];
  const url = new URL(text);
  const secrets: string[] = [];
  // A user name alone is a token; beside a password it is only a name.
  for (const part of url.password === "" ? [url.username] : [url.password]) {
    secrets.push(part, decodedPercent(part));
  }
  for (const pair of url.search.slice(1).split("&")) {
    const [name = "", ...rest] = pair.split("=");
    const value = rest.join("=");
    if (SECRET_NAME.test(decodedPercent(name)) || looksRandom(value)) {
      secrets.push(value, decodedPercent(value));
    }
  }
  for (const segment of url.pathname.split("/")) {
    if (looksRandom(segment)) secrets.push(segment, decodedPercent(segment));
  }
  return secrets;
}
