/**
 * Says whether a URI can have come from a URI template (RFC 6570), which is all that routing needs.
 *
 * Wide rather than strict: `{var}` takes any text without `/`, percent-encoded or not, as the SDKs
 * of the upstreams do. No regular expressions: both sides are written by strangers, and adjacent
 * wildcards would backtrack for ever. The time is at most |URI| × |expressions|.
 */

/** A template made ready for matching. */
export interface UriTemplate {
  /** Two templates with the same shape match the same URIs, whatever their variables are called. */
  readonly shape: string;
  /** Greater is more specific: more literal text, then fewer `{+var}`, then fewer expressions. */
  readonly specificity: readonly [literal: number, open: number, expressions: number];
  matches(uri: string): boolean;
}

/** Longer URIs match no template. */
export const MAX_MATCHED_URI = 8192;
/** Templates of more pieces match nothing. */
const MAX_STEPS = 64;

type Step =
  | { readonly kind: "text"; readonly text: string }
  /** One or more characters; `open` ones include `/`. */
  | { readonly kind: "run"; readonly open: boolean }
  /** Nothing, or `head` and any number of characters. */
  | { readonly kind: "tail"; readonly head: string; readonly open: boolean };

/** Reads a template. What is no valid expression is taken literally; never throws. */
export function parseUriTemplate(template: string): UriTemplate {
  const steps = readSteps(template);
  const texts = steps.filter((step) => step.kind === "text");
  const literal = texts.reduce((sum, { text }) => sum + text.length, 0);
  const open = steps.filter((step) => step.kind !== "text" && step.open).length;
  const first = steps[0];
  const last = steps.at(-1);
  const start = first?.kind === "text" ? first.text : "";
  const end = last?.kind === "text" ? last.text : "";
  return {
    shape: JSON.stringify(steps),
    specificity: [literal, -open, texts.length - steps.length],
    matches: (uri) =>
      uri.length <= MAX_MATCHED_URI && steps.length <= MAX_STEPS &&
      uri.startsWith(start) && uri.endsWith(end) && walk(steps, uri),
  };
}

/** Orders templates, the most specific first. */
export function bySpecificity(a: UriTemplate, b: UriTemplate): number {
  for (const [index, value] of a.specificity.entries()) {
    const difference = b.specificity[index]! - value;
    if (difference !== 0) return difference;
  }
  return 0;
}

function readSteps(template: string): readonly Step[] {
  const steps: Step[] = [];
  let text = "";
  const flush = () => {
    if (text !== "") steps.push({ kind: "text", text });
    text = "";
  };
  for (let at = 0; at < template.length;) {
    const close = template[at] === "{" ? template.indexOf("}", at) : -1;
    const expression = close < 0 ? undefined : readExpression(template.slice(at + 1, close));
    if (expression === undefined) {
      text += template[at++];
      continue;
    }
    flush();
    steps.push(...expression);
    at = close + 1;
  }
  flush();
  return steps;
}

/** The steps of an expression without its braces, `undefined` where it is none. */
function readExpression(body: string): readonly Step[] | undefined {
  const found = /^([+#./;?&]?)([\w.%]+(?:\*|:\d{1,4})?(?:,[\w.%]+(?:\*|:\d{1,4})?)*)$/.exec(body);
  if (found === null) return undefined;
  const operator = found[1]!;
  switch (operator) {
    case "":
      return [{ kind: "run", open: false }];
    case "+":
      return [{ kind: "run", open: true }];
    case "/":
      return found[2]!.split(",").map((variable) => ({
        kind: "tail",
        head: "/",
        open: variable.endsWith("*"),
      }));
    default:
      return [{ kind: "tail", head: operator, open: operator !== "." && operator !== ";" }];
  }
}

/** Carries the set of places a match may have reached through all steps at once. */
function walk(steps: readonly Step[], uri: string): boolean {
  let places = new Uint8Array(uri.length + 1);
  places[0] = 1;
  for (const step of steps) {
    const next = step.kind === "tail" ? places.slice() : new Uint8Array(uri.length + 1);
    if (step.kind === "text") {
      for (let at = places.indexOf(1); at >= 0; at = places.indexOf(1, at + 1)) {
        if (uri.startsWith(step.text, at)) next[at + step.text.length] = 1;
      }
    } else {
      let running = false;
      for (let at = 0; at < uri.length; at++) {
        const starts = places[at] === 1 && (step.kind === "run" || uri[at] === step.head);
        running = starts || (running && (step.open || uri[at] !== "/"));
        // A run's first character obeys the same rule as the others; a tail's is its head.
        if (starts && step.kind === "run" && !step.open && uri[at] === "/") running = false;
        if (running) next[at + 1] = 1;
      }
    }
    places = next;
  }
  return places[uri.length] === 1;
}
