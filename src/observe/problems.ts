/** Failures that are one problem: of one tool, with one text but for what differs each time. */

import { shortHash } from "../lib/json.ts";
import { cut, printable } from "../lib/text.ts";
import type { ObservedCall, ObservedOutcome } from "./call.ts";

/** What somebody may make of a problem; one that is `done` is open again when it comes again. */
export const PROBLEM_STATES = ["open", "done", "ignored"] as const;

/** One of {@link PROBLEM_STATES}. */
export type ProblemState = (typeof PROBLEM_STATES)[number];

/** What makes failures one problem. */
export interface ProblemKind {
  readonly fingerprint: string;
  readonly server: string;
  readonly name: string;
  readonly code: number | undefined;
  /** Without what differs each time. */
  readonly text: string;
}

/** What a server, or its being away, is to blame for; what is refused is the client's own fault. */
const BLAMED: readonly ObservedOutcome[] = ["tool_error", "error", "unavailable", "timeout"];

const MOST_TEXT = 300;

/** The problem a call that has ended is one of. `text` is what the client was told, secrets masked. */
export function problemOf(
  { outcome, server, name = "", code, method }: ObservedCall,
  text = "",
): ProblemKind | undefined {
  if (!BLAMED.includes(outcome)) return undefined;
  const about = method === "resources/read" ? "" : name;
  const line = printable(cut(text, MOST_TEXT)).replace(/\s+/g, " ").trim();
  const common = withoutParticulars(line) || outcome;
  const whole = Number.isSafeInteger(code) ? code : undefined;
  const key = JSON.stringify([server, about, whole ?? outcome, common]);
  return { fingerprint: shortHash(key, 16), server, name: about, code: whole, text: common };
}

/** What differs from failure to failure; the first that fits decides. */
const PARTICULARS: readonly (readonly [RegExp, string])[] = [
  [/\b[a-z][\w+.-]{0,20}:\/\/[^\s"'`<>()]+/gi, "URL"],
  [/(?:\b[a-z]:|~|\.{1,2}|\B)[\\/][\w.@%+\\/-]*[\w@%+\\/-]/gi, "PATH"],
  [/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi, "ID"],
  [/\b(?=[a-z_-]*\d)[\w-]{12,}\b/gi, "ID"],
  [/\b(?=[a-f]*\d)[0-9a-f]{6,}\b/gi, "ID"],
  [/\d+(?:[.,:]\d+)*/g, "N"],
];

/** A text with placeholders for its numbers, ids, paths and addresses. */
export function withoutParticulars(text: string): string {
  return PARTICULARS.reduce((left, [what, placeholder]) => left.replace(what, placeholder), text);
}
