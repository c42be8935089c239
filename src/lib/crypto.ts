import process from "node:process";

/**
 * `node:crypto`, loaded when it is first needed: on Deno the module costs some 30 ms, a third of
 * the time to a listening gateway, and most starts hash nothing.
 */
export function nodeCrypto(): typeof import("node:crypto") {
  return process.getBuiltinModule("node:crypto");
}
