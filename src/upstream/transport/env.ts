/** The environment a stdio server is started with. */

/**
 * Inherited from the gateway because programs break without them; nothing else is, since the
 * gateway's own environment holds the secrets of every other server. Pinned by a test.
 */
export const SAFE_VARIABLES: readonly string[] = [
  "HOME",
  "LANG",
  "LANGUAGE",
  "LOGNAME",
  "PATH",
  "SHELL",
  "TERM",
  "TMPDIR",
  "TZ",
  "USER",
];

/** The same for Windows, where names are matched without regard to case. */
export const SAFE_WINDOWS_VARIABLES: readonly string[] = [
  "APPDATA",
  "COMSPEC",
  "HOMEDRIVE",
  "HOMEPATH",
  "LOCALAPPDATA",
  "PATH",
  "PATHEXT",
  "PROCESSOR_ARCHITECTURE",
  "PROGRAMDATA",
  "PROGRAMFILES",
  "SYSTEMDRIVE",
  "SYSTEMROOT",
  "TEMP",
  "TMP",
  "TZ",
  "USERNAME",
  "USERPROFILE",
];

/** Whole families that are inherited. */
const SAFE_PREFIXES: readonly string[] = ["LC_", "XDG_"];

/** Shell functions exported by bash travel in variables and would run in the child's shells. */
const isFunction = (value: string) => value.startsWith("()");

/**
 * What the child gets: the safe part of `inherited`, overridden by what the config says.
 * `platform` is `process.platform`.
 */
export function childEnv(
  inherited: Readonly<Record<string, string | undefined>>,
  configured: Readonly<Record<string, string>>,
  platform: string,
): Record<string, string> {
  const windows = platform === "win32";
  const safe = new Set(windows ? SAFE_WINDOWS_VARIABLES : SAFE_VARIABLES);
  const env = new Map<string, string>();
  for (const [name, value] of Object.entries(inherited)) {
    if (value === undefined || isFunction(value)) continue;
    const key = windows ? name.toUpperCase() : name;
    if (safe.has(key) || SAFE_PREFIXES.some((prefix) => key.startsWith(prefix))) {
      env.set(name, value);
    }
  }
  for (const [name, value] of Object.entries(configured)) env.set(name, value);
  return Object.fromEntries(env);
}
