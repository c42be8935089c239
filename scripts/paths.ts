import { fileURLToPath } from "node:url";

/** The project's root folder. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The Deno that runs this script. */
export const DENO = Deno.execPath();

/** Bun as the pinned dev dependency brings it; nothing has to be installed by hand. */
export const BUN = `${ROOT}node_modules/bun/bin/bun.exe`;

/** The binaries the behaviour suite is run against. */
export const TEST_BINARIES = {
  bun: `${ROOT}dist/test/mcproxy-bun`,
  deno: `${ROOT}dist/test/mcproxy-deno`,
} as const;

/** What is built comes here. */
export const DIST = `${ROOT}dist`;

/** The program bundled for Deno, and what it loads. */
export const BUNDLE = { program: `${DIST}/mcproxy.js`, folder: `${DIST}/bundle` } as const;

/** What says that the agents are there: the lock file they were installed by. */
export const AGENTS_INSTALLED = `${ROOT}tests/slow/agents/programs/node_modules/.installed`;
