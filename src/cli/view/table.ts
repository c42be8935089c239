import { styleText } from "node:util";
import { fit, widthOf } from "../../lib/text.ts";

/** One cell: its text, and how it is painted. */
export interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

/** One column of a {@link renderTable}. */
export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

/** Options of {@link renderTable}. */
export interface TableOptions {
  readonly style?: Style;
  /** Cells a line may take; the last column is cut to it. Unlimited for a file or a pipe. */
  readonly width?: number;
}

const GAP = "  ";

/** The lines of a table: as wide as its contents, titles dimmed, no frame. Cells are printable. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly (string | Cell)[])[],
  { style = PLAIN, width = Infinity }: TableOptions = {},
): string[] {
  const cells = rows.map((row) => row.map(toCell));
  const widths = columns.map((column, at) =>
    Math.max(widthOf(column.title), ...cells.map((row) => widthOf(row[at]?.text ?? "")))
  );
  const last = columns.length - 1;
  const before = widths.slice(0, last).reduce((sum, cell) => sum + cell + GAP.length, 0);
  const lastWidth = Math.max(8, width - before);
  const line = (row: readonly Cell[]): string =>
    row.map((cell, at) => {
      const text = at === last ? fit(cell.text, lastWidth) : cell.text;
      const pad = " ".repeat(Math.max(0, (widths[at] ?? 0) - widthOf(text)));
      const painted = cell.paint?.(text) ?? text;
      if (columns[at]?.align === "right") return pad + painted;
      return at === last ? painted : painted + pad;
    }).join(GAP).trimEnd();
  return [
    line(columns.map(({ title }) => ({ text: title, paint: style.dim }))),
    ...cells.map(line),
  ];
}

function toCell(cell: string | Cell): Cell {
  return typeof cell === "string" ? { text: cell } : cell;
}

/** Colours for people, and only for those who did not refuse them (no-color.org). */

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
