import { addTests } from "./suite.ts";

addTests("memory");
