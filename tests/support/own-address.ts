import process from "node:process";

/**
 * A loopback address that no other process of the tests listens on, where there is more than one: a
 * port that is given up here is nobody else's before it is taken again, or is not at all.
 */
export const OWN_ADDRESS: string = process.platform === "linux"
  ? `127.${[128 + (process.pid >> 16 & 63), process.pid >> 8 & 255, process.pid & 255].join(".")}`
  : "127.0.0.1";

/** A port for a program that cannot be asked which one it got: none that systems give by themselves. */
export const OWN_PORT: number = 10_000 + process.pid % 20_000;
