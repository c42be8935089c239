import type { Suite } from "../suite.ts";
import { calls } from "./calls.ts";
import { changes } from "./changes.ts";
import { cli } from "./cli.ts";
import { correlation } from "./correlation.ts";
import { faults } from "./faults.ts";
import { gating } from "./gating.ts";
import { hostile } from "./hostile.ts";
import { instances } from "./instances.ts";
import { lifecycle } from "./lifecycle.ts";
import { lists } from "./lists.ts";
import { modern } from "./modern.ts";
import { operations } from "./operations.ts";
import { recovery } from "./recovery.ts";
import { profiles } from "./profiles.ts";
import { rejections } from "./rejections.ts";
import { reload } from "./reload.ts";
import { reloadStates } from "./reload-states.ts";
import { rest } from "./rest.ts";
import { sessions } from "./sessions.ts";
import { startup } from "./startup.ts";
import { stdio } from "./stdio.ts";
import { warmStart } from "./warm-start.ts";

/** Every topic of the suite. */
export const topics: readonly ((suite: Suite) => void)[] = [
  lists,
  calls,
  correlation,
  changes,
  sessions,
  modern,
  rejections,
  hostile,
  operations,
  startup,
  faults,
  lifecycle,
  reload,
  profiles,
  gating,
  reloadStates,
  warmStart,
  recovery,
  rest,
  instances,
  stdio,
  cli,
];
