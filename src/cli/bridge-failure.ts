import type { Outcome } from "./bridge-http.ts";

/** What the client is told about a request that got no answer. */
export function failureText(outcome: Outcome, label: string): string {
  const gateway = `the gateway at "${label}"`;
  switch (outcome.kind) {
    case "unreached":
      return `Cannot reach ${gateway}: ${outcome.why}; start it with "mcproxy serve"`;
    case "broken":
      return `Cannot tell what became of the request: ${gateway} went away before it answered ` +
        `(${outcome.why}); it may or may not have been carried out`;
    case "refused":
      return `Cannot use ${gateway}: it answered HTTP ${outcome.status}; expected mcproxy there`;
    default:
      return `Cannot use ${gateway}: ${outcome.kind}`;
  }
}
