/** Settings from other places than the file, and which of all count. */

import * as v from "valibot";
import type { Env, Settings } from "./config.ts";
import type { ConfigIssue } from "./issue.ts";
import { quote } from "./issue.ts";
import { SettingsSchema } from "./schema.ts";

/** What an empty file would give; pinned by a test. */
export const DEFAULT_SETTINGS: Settings = withoutUndefined(v.parse(SettingsSchema, {}));

/**
 * Settings that a flag or the environment can give. Not those that servers inherit: they are
 * already in each server of a parsed configuration.
 */
export type SettingsOverrides = Partial<
  Omit<Settings, "prefix" | "separator" | "startupTimeout" | "timeout" | "roots">
>;

/**
 * Settings with overrides applied, later ones first in rank:
 * `applyOverrides(config.settings, fromEnv, fromFlags)` gives flags over environment over file over
 * defaults. An `undefined` member overrides nothing.
 */
export function applyOverrides(
  settings: Settings,
  ...layers: readonly { readonly [Key in keyof SettingsOverrides]?: Settings[Key] | undefined }[]
): Settings {
  return layers.reduce<Settings>(
    (result, layer) => ({ ...result, ...withoutUndefined(layer) }),
    settings,
  );
}

/** What the environment overrides, or what is wrong with it. */
export type EnvOverridesResult =
  | { readonly ok: true; readonly overrides: SettingsOverrides }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** Reads `MCPROXY_HOST` and `MCPROXY_PORT`; an empty one counts as not set. */
export function overridesFromEnv(env: Env): EnvOverridesResult {
  const host = env["MCPROXY_HOST"];
  const port = env["MCPROXY_PORT"];
  const overrides: { host?: string; port?: number } = {};
  if (host) overrides.host = host;
  if (port) {
    const number = parsePort(port);
    if (number === undefined) {
      return {
        ok: false,
        issues: [{
          file: "environment",
          line: 0,
          column: 0,
          path: "MCPROXY_PORT",
          message: `found ${quote(port)}, expected a port number from 0 to 65535`,
        }],
      };
    }
    overrides.port = number;
  }
  return { ok: true, overrides };
}

/** A port number from text of digits, 0 to 65535; undefined for anything else. */
export function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

/** Drops members that are undefined, which a spread would otherwise copy over good values. */
function withoutUndefined<T extends object>(
  value: T,
): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined),
  ) as { [Key in keyof T]: Exclude<T[Key], undefined> };
}
