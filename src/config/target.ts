/** The part of a server's entry that says where it is, and what a system call would not take. */

import { authorizationOf } from "./auth.ts";
import type { IssueCollector } from "./collector.ts";
import type { HttpTarget, ServerTarget } from "./config.ts";
import { type ConfigIssue, type ConfigPath, describeKind, quote } from "./issue.ts";
import type { CheckedServer } from "./schema.ts";

type RawTarget = Readonly<Record<string, unknown>>;

/**
 * The targets of a checked entry, one for each instance; `raw` is the same entry, expanded and
 * unchecked.
 */
export function buildTargets(checked: CheckedServer, raw: RawTarget): readonly ServerTarget[] {
  const { command, cwd, instances = 1 } = checked;
  if (command !== undefined) {
    const target: ServerTarget = {
      kind: "stdio",
      command,
      args: checked.args ?? [],
      env: stringsOf(raw["env"]),
      ...(cwd === undefined ? {} : { cwd }),
    };
    return Array.from({ length: instances }, () => target);
  }
  const pin = checked.transport ?? checked.type;
  const transport: HttpTarget["transport"] = pin === undefined
    ? "auto"
    : pin === "sse"
    ? "sse"
    : "http";
  // A URL with an unset variable was left out of the check; it stays readable as written.
  const written = Array.isArray(raw["urls"]) ? raw["urls"].map(String) : [String(raw["url"])];
  const headers = stringsOf(raw["headers"]);
  if (checked.auth !== undefined) headers["Authorization"] = authorizationOf(checked.auth);
  return (checked.urls ?? (checked.url === undefined ? written : [checked.url])).map((url) => ({
    kind: "http",
    url,
    transport,
    headers,
  }));
}

/**
 * A copy of a checked record of strings. Not the schema's output: valibot passes over keys such as
 * "constructor", which are good names for a variable or a header.
 */
function stringsOf(value: unknown): Record<string, string> {
  const result: Record<string, string> = Object.create(null);
  for (const [key, item] of Object.entries(value ?? {})) {
    if (typeof item === "string") result[key] = item;
  }
  return result;
}

/** Keys that valibot's record passes over unchecked. */
const UNCHECKED_KEYS = ["__proto__", "prototype", "constructor"];

/** RFC 9110, section 5.1: a field name is a token. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Two ways to say who asks must not stand side by side. */
export function reportAuth(raw: RawTarget, base: ConfigPath, collector: IssueCollector): void {
  if (raw["auth"] === undefined) return;
  const header = Object.keys(raw["headers"] ?? {}).find((name) => /^authorization$/i.test(name));
  if (header === undefined) return;
  collector.error([...base, "auth"], `found both "auth" and the header "${header}", expected one`, {
    part: "key",
    remedy: "keep one of them",
  });
}

/** Reports names in `env` and `headers` that no process and no request could carry. */
export function reportMapKeys(raw: RawTarget, base: ConfigPath, collector: IssueCollector): void {
  for (const section of ["env", "headers"]) {
    const map = raw[section];
    if (typeof map !== "object" || map === null || Array.isArray(map)) continue;
    for (const [key, value] of Object.entries(map)) {
      const path = [...base, section, key];
      if (UNCHECKED_KEYS.includes(key) && typeof value !== "string") {
        collector.error(path, `found ${describeKind(value)}, expected a string`);
      }
      if (section === "headers" && !HEADER_NAME.test(key)) {
        collector.error(path, `found ${quote(key)}, expected the name of an HTTP header`, {
          part: "key",
        });
      }
      if (section === "env" && (key === "" || /[=\0]/.test(key))) {
        collector.error(path, `found ${quote(key)}, expected the name of a variable`, {
          part: "key",
          remedy: 'a name is not empty and has no "="',
        });
      }
    }
  }
}

/**
 * The first value the target cannot be started with, such as a header with a line break. It mostly
 * comes from a variable, so it is a problem of this server and not of the file.
 */
export function findUnusable(
  target: ServerTarget,
  base: ConfigPath,
  collector: IssueCollector,
): ConfigIssue | undefined {
  const suspects: (readonly [ConfigPath, string])[] = target.kind === "http"
    ? Object.entries(target.headers).map(([key, value]) => [["headers", key], value])
    : [
      [["command"], target.command],
      ...target.args.map((arg, index) => [["args", index], arg] as const),
      ...Object.entries(target.env).map(([key, value]) => [["env", key], value] as const),
      [["cwd"], target.cwd ?? ""],
    ];
  for (const [path, value] of suspects) {
    if (value.includes("\0")) {
      return collector.issue([...base, ...path], "found a NUL character, expected text without");
    }
    if (target.kind === "http" && /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      return collector.issue(
        [...base, ...path],
        "found a line break, control or non-Latin character, expected a plain header value",
        { remedy: "check the end of the variable it comes from" },
      );
    }
  }
  return undefined;
}
