import type { EraSuite } from "../suite.ts";
import { calls } from "./calls.ts";
import { executed } from "./execute.ts";
import { notices } from "./notices.ts";
import { questions } from "./questions.ts";
import { states } from "./states.ts";

/** Every topic of the matrix of eras. */
export const eraTopics: readonly ((suite: EraSuite) => void)[] = [
  calls,
  executed,
  notices,
  questions,
  states,
];
