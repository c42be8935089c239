/**
 * Many test files as one module, for `deno test`: it gives each file it is called with an engine
 * of its own, which loads all of src once more. Bun has one for all by itself.
 */

import { ROOT } from "./paths.ts";

/** The files, relative to the root; one after the other, as a test may stand at the top level. */
for (const file of Deno.env.get("TEST_FILES")!.split(" ")) await import(`${ROOT}${file}`);
