/** Where on a machine the files of clients are. Pure: nothing here looks at the disk. */

import { posix, win32 } from "node:path";

/** What the places depend on. */
export interface Surroundings {
  /** As `process.platform` names it. */
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Working directory, absolute: where a project's files are looked for. */
  readonly cwd: string;
  /** The user's home, absolute. */
  readonly home: string;
}

/** Answers where the usual directories are, with paths as the platform writes them. */
export interface ClientPlaces {
  readonly isWindows: boolean;
  /** Joins steps below the home. */
  home(...steps: string[]): string;
  /** Below where applications keep the settings of a user. */
  settings(...steps: string[]): string;
  /** Below where programs that follow XDG, also on macOS, keep their settings. */
  config(...steps: string[]): string;
  /** Below the directory a variable names, else below the home. */
  named(variable: string, fallback: string, ...steps: string[]): string;
  /** Below the working directory. */
  project(...steps: string[]): string;
}

/** The places of one machine and user. */
export function placesIn({ platform, env, cwd, home }: Surroundings): ClientPlaces {
  const { join, isAbsolute } = platform === "win32" ? win32 : posix;
  const absolute = (variable: string): string | undefined => {
    const value = env[variable];
    return value !== undefined && isAbsolute(value) ? value : undefined;
  };
  const xdg = absolute("XDG_CONFIG_HOME") ?? join(home, ".config");
  const roaming = absolute("APPDATA") ?? join(home, "AppData", "Roaming");
  const settings = platform === "win32"
    ? roaming
    : platform === "darwin"
    ? join(home, "Library", "Application Support")
    : xdg;
  const config = platform === "win32" ? roaming : xdg;
  return {
    isWindows: platform === "win32",
    home: (...steps) => join(home, ...steps),
    settings: (...steps) => join(settings, ...steps),
    config: (...steps) => join(config, ...steps),
    named: (variable, fallback, ...steps) =>
      join(absolute(variable) ?? join(home, fallback), ...steps),
    project: (...steps) => join(cwd, ...steps),
  };
}
