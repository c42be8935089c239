import { ON_BUN } from "../support/program.ts";
import { addTests } from "./suite.ts";

// A process is the same whoever starts it: once is enough.
if (!ON_BUN) addTests("bun");
