/** Colours for people, and only for those who did not refuse them (no-color.org). */

import { styleText } from "node:util";

/** The few roles text has in the output of the commands. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
  name(text: string): string;
}

/** What the decision depends on. */
export interface StyleOptions {
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The style for one output stream. */
export function styleFor({ isTerminal, env }: StyleOptions): Style {
  const colors = isTerminal && !env["NO_COLOR"] && env["TERM"] !== "dumb";
  return colors ? COLORED : PLAIN;
}

const same = (text: string): string => text;

/** Text as it is. */
export const PLAIN: Style = {
  bold: same,
  dim: same,
  good: same,
  warn: same,
  bad: same,
  name: same,
};

function paint(format: Parameters<typeof styleText>[0]): (text: string) => string {
  // The decision is made above, from the Io: not again from the process's own stdout.
  return (text) => styleText(format, text, { validateStream: false });
}

/** Text with ANSI colours. */
export const COLORED: Style = {
  bold: paint("bold"),
  dim: paint("dim"),
  good: paint("green"),
  warn: paint("yellow"),
  bad: paint("red"),
  name: paint("cyan"),
};
