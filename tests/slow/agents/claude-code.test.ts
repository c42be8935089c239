import { AGENTS } from "./agents.ts";
import { proveAgent } from "./prove.ts";

proveAgent(AGENTS.CLAUDE_CODE);
