import type { GatingConfig } from "../config/gating.ts";
import { isObject, type Json } from "../lib/json.ts";
import type { Executor, Risk } from "./meta-tools.ts";

/**
 * How much a call of a tool with these annotations may do. Nothing said is the worst, as the
 * specification has it (server/tools: annotations), and only what is said in so many words counts.
 */
export function riskOf(annotations: Json | undefined): Risk {
  if (!isObject(annotations)) return "destructive";
  if (annotations.readOnlyHint === true) return "read";
  return annotations.destructiveHint === false ? "write" : "destructive";
}

/** The meta tool that executes tools of this risk, and what a client's rules of approval see. */
export function executorOf(
  risk: Risk,
  { splitByRisk }: Pick<GatingConfig, "splitByRisk">,
): Executor {
  return splitByRisk ? `execute_${risk}` : "execute_tool";
}

/** Least risk first. */
const BY_RISK: readonly Risk[] = ["read", "write", "destructive"];

/** Whether a meta tool of `splitByRisk` executes tools of this risk: its own, and any lesser. */
export function executes(executor: Executor, risk: Risk): boolean {
  const most = BY_RISK.findIndex((one) => executor === `execute_${one}`);
  return most >= BY_RISK.indexOf(risk);
}
