/** Which values of a configuration must not be seen in logs, status or errors. */

import type { UsedVariable } from "./expand.ts";
import type { Config, HttpTarget, StdioTarget } from "./config.ts";

/** Shorter values ("1", "on") are everywhere in a log, and nobody's secret. */
const SHORTEST_SECRET = 4;

/** Values that are words of every log; to hide them would hide the log. */
const PLAIN_VALUE =
  /^(true|false|null|none|auto|trace|debug|info|warn|warning|error|production|development|staging|test|local|localhost|127\.0\.0\.1|utf-?8|https?|stdio|json|text|\d{1,5}|[a-z]+\/[\w.+-]*(json|event-stream|plain|html)|\*\/\*)$/i;

/** Variables that name places and people, not secrets; any other may hold one. */
const HARMLESS_VARIABLE =
  /^(HOST|PORT|HOME|USER|LOGNAME|USERNAME|USERPROFILE|PWD|PATH|SHELL|LANG|LC_\w+|TERM|TZ|HOSTNAME|TMPDIR|TMP|TEMP|APPDATA|LOCALAPPDATA|XDG_\w+|\w*_(HOST|PORT|DIR|LEVEL))$/;

const SECRET_NAME =
  /token|secret|passw|pwd|api[-_]?key|apikey|auth|credential|signature|^(key|sig|code)$/i;

/** Long runs of letters and digits mixed, as keys in URLs are. */
function looksRandom(text: string): boolean {
  return /^[\w~.+/=-]{20,}$/.test(text) && /\d/.test(text) && /[A-Za-z]/.test(text);
}

/** The values among the variables used that must be treated as secrets. */
export function secretsOfVariables(used: readonly UsedVariable[]): string[] {
  return used.filter(({ name }) => !HARMLESS_VARIABLE.test(name)).map(({ value }) => value);
}

/**
 * Every text of at least four characters that a log or an error must not contain, longest first
 * (so that replacing one never leaves half of another): header values and the token in them, `env`
 * values, credentials in URLs and in arguments, and what variables brought in, unless the variable
 * is one like `HOME`. Left out are words such as "debug" or "8080" that are nobody's secret.
 */
export function collectSecrets(config: Config): readonly string[] {
  const secrets = new Set<string>();
  const add = (text: string): void => {
    // Without a line break at its end, too: that is how it turns up elsewhere.
    for (const form of [text, text.trim()]) {
      if (form.length >= SHORTEST_SECRET && !PLAIN_VALUE.test(form)) secrets.add(form);
    }
  };
  config.expandedSecrets.forEach(add);
  for (const { target } of config.servers.values()) {
    const found = target.kind === "http" ? secretsOfHttp(target) : secretsOfStdio(target);
    found.forEach(add);
  }
  return [...secrets].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
}

function secretsOfHttp(target: HttpTarget): string[] {
  const secrets = secretsOfUrl(target.url);
  for (const value of Object.values(target.headers)) {
    secrets.push(value);
    // "Bearer abc": the token turns up without its scheme, too.
    const token = /^\S+\s+(\S.*)$/.exec(value.trim())?.[1];
    if (token === undefined) continue;
    secrets.push(token);
    if (/^basic\s/i.test(value.trim())) {
      const decoded = decodeBase64(token);
      const password = decoded?.slice(decoded.indexOf(":") + 1);
      if (decoded !== undefined) secrets.push(decoded);
      if (password !== undefined) secrets.push(password);
    }
  }
  return secrets;
}

function secretsOfStdio(target: StdioTarget): string[] {
  const secrets = Object.values(target.env);
  target.args.forEach((arg, index) => {
    for (const secret of secretsOfUrl(arg)) secrets.push(secret);
    const [, option, value] = /^--?([\w-]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (option === undefined || !SECRET_NAME.test(option)) return;
    const next = value ?? target.args[index + 1];
    if (next !== undefined && !(value === undefined && next.startsWith("-"))) secrets.push(next);
  });
  return secrets;
}

/** User information, secret-looking query values and path segments; nothing for other text. */
function secretsOfUrl(text: string): string[] {
  if (!text.includes("://") || !URL.canParse(text)) return [];
  const url = new URL(text);
  const secrets: string[] = [];
  // A user name alone is a token; beside a password it is only a name.
  for (const part of url.password === "" ? [url.username] : [url.password]) {
    secrets.push(part, decodePercent(part));
  }
  for (const pair of url.search.slice(1).split("&")) {
    const [name = "", ...rest] = pair.split("=");
    const value = rest.join("=");
    if (SECRET_NAME.test(decodePercent(name)) || looksRandom(value)) {
      secrets.push(value, decodePercent(value));
    }
  }
  for (const segment of url.pathname.split("/")) {
    if (looksRandom(segment)) secrets.push(segment, decodePercent(segment));
  }
  return secrets;
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function decodeBase64(text: string): string | undefined {
  try {
    return atob(text);
  } catch {
    return undefined;
  }
}
