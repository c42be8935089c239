import process from "node:process";
import { ON_BUN } from "../support/program.ts";
import { addTests } from "./suite.ts";

// A process is the same whoever starts it: once is enough. Without a binary the behaviour suite
// says what to do.
if (!ON_BUN && process.env["MCPROXY_BINARY"] !== undefined) addTests("binary");
