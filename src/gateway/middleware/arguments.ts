import { rawAt } from "../../lib/json-edit.ts";
import { argumentEdits, type ArgumentRules } from "../../protocol/arguments.ts";
import type { Middleware } from "./middleware.ts";

/**
 * Gives a tool the arguments that the rules want: defaults for what the client left out, fixed
 * values, nothing for what is hidden. The client's request stays as it is.
 */
export function withArguments(rules: ArgumentRules): Middleware {
  return (call, next) => {
    const path = ["params", "arguments"];
    const edits = argumentEdits(rawAt(call.exchange.request.raw, path), rules);
    if (edits.length === 0) return next(call);
    const placed = edits.map((edit) => ({ ...edit, path: [...path, ...edit.path] }));
    return next({ ...call, edits: [...call.edits, ...placed] });
  };
}
