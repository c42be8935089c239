import type { GatingConfig } from "../config/gating.ts";
import type { View } from "../registry/types.ts";
import { exceeds } from "./budget.ts";
import { GatedView } from "./gated-view.ts";

/** What is behind one view's gate, and how it looks with the gate closed. */
export interface Gate {
  readonly config: GatingConfig;
  /** The view with all its tools. */
  readonly full: View;
  /** The same view with the tools that find its tools. */
  readonly view: GatedView;
  /** Whether clients that do not choose get {@link Gate.view}. */
  readonly isClosed: boolean;
}

/** The gates of a snapshot. */
export interface Gates {
  readonly aggregate: Gate;
  /** By profile. */
  readonly profiles: ReadonlyMap<string, Gate>;
}

/**
 * Puts a gate before a view. Whatever depends on the same as in `previous` is the same object, so
 * that no client is told of a change that is none.
 *
 * @param preface instructions that come before those of the servers
 */
export function buildGate(
  full: View,
  config: GatingConfig,
  preface: string | undefined,
  previous?: Gate,
): Gate {
  const view = GatedView.build({ full, config, preface }, previous?.view);
  const isClosed = config.mode === "on" || (config.mode === "auto" && exceeds(full, config));
  return previous?.view === view && previous.isClosed === isClosed && previous.config === config
    ? previous
    : { config, full, view, isClosed };
}
