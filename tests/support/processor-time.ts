import process from "node:process";

/**
 * What work takes of the processors, ms. A test of how long something takes asks for this, not for
 * the time of day: others use the machine, too.
 */
export function processorTime(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
