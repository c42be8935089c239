import { test } from "node:test";
import { restartUnderClients } from "../behaviour/restarting.ts";

test("twenty restarts, five by SIGKILL, break no client", () => restartUnderClients(20));
