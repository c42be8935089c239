import process from "node:process";

/**
 * How many of a property's rounds are run: a quarter by `deno task ok`, which has little time for
 * each of its files, and all of them by `deno task ok:slow`, and with it by CI.
 */
export function rounds(all: number): number {
  return process.env["ALL_ROUNDS"] === undefined ? Math.ceil(all / 4) : all;
}
