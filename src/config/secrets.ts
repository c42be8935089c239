/** Which values of a configuration must not be seen in logs, status or errors. */

import { isMaskable } from "../lib/secrets.ts";
import type { UsedVariable } from "./expand.ts";
import type { Config, HttpTarget, StdioTarget } from "./types.ts";

/** Variables that name places and people, not secrets; any other may hold one. */
const HARMLESS_VARIABLE =
  /^(HOST|PORT|HOME|USER|LOGNAME|USERNAME|USERPROFILE|PWD|PATH|SHELL|LANG|LC_\w+|TERM|TZ|HOSTNAME|TMPDIR|TMP|TEMP|APPDATA|LOCALAPPDATA|XDG_\w+|\w*_(HOST|PORT|DIR|LEVEL))$/;

const SECRET_NAME =
  /token|secret|passw|pwd|api[-_]?key|apikey|auth|credential|signature|^(key|sig|code)$/i;

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
    .map(({ value }) => value);
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
      if (isMaskable(form)) secrets.add(form);
    }
  };
  config.expandedSecrets.forEach(add);
  const { embeddings } = config.settings;
  if (embeddings !== undefined) {
    [embeddings.apiKey ?? "", ...secretsOfUrl(embeddings.url)].forEach(add);
  }
  for (const { instances } of config.servers.values()) {
    for (const target of instances) {
      const found = target.kind === "http" ? secretsOfHttp(target) : secretsOfStdio(target);
      found.forEach(add);
    }
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

/** Whether the name (of a variable, header or option) says that the value is a secret. */
export function isNamedSecret(name: string, value: string): boolean {
  return isMaskable(value) && (SECRET_NAME.test(name) || /[-_]key$/i.test(name));
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
