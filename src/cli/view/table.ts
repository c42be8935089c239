import { styleText } from "node:util";
import { type Io, print, type TextOutput } from "../../app/io.ts";
import { fit, widthOf } from "../../lib/text.ts";
import type { OptionValues } from "../command.ts";

/** One cell: its text, and how it is painted. */
export interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

/** One column of a {@link renderTable}; numbers stand at the right of theirs anyhow. */
export interface Column {
  readonly title: string;
  readonly align?: "right" | undefined;
  /** The higher, the longer it stays where a line is too narrow; without, for ever. */
  readonly worth?: number;
}

/** Options of {@link renderTable}. */
export interface TableOptions {
  readonly style?: Style;
  /** Cells a line may take; the last column is cut to it. Unlimited for a file or a pipe. */
  readonly width?: number;
}

interface FilledColumn extends Column {
  /** The title first. */
  readonly cells: readonly Cell[];
  readonly size: number;
}

const GAP = "  ";
/** Cells the last column keeps before another one is given up for it. */
const MIN_LAST = 30;

/** The lines of a table: as wide as its contents, titles dimmed, no frame. Cells are printable. */
export function renderTable(
  columns: readonly (string | Column)[],
  rows: readonly (readonly (string | number | Cell)[])[],
  { style = PLAIN, width = Infinity }: TableOptions = {},
): string[] {
  const all = columns.map((given, at): FilledColumn => {
    const column = typeof given === "string" ? { title: given } : given;
    const values = rows.map((row) => row[at] ?? "");
    const cells = values.map((cell) => typeof cell === "object" ? cell : { text: String(cell) });
    const align = values.some((value) => typeof value === "number") ? "right" : column.align;
    const size = Math.max(...[column.title, ...cells.map(({ text }) => text)].map(widthOf));
    return { ...column, align, cells: [{ text: column.title, paint: style.dim }, ...cells], size };
  });
  const shown = fitting(all, width);
  const lastWidth = Math.max(8, width - before(shown));
  const line = (row: number): string =>
    shown.map(({ cells, size, align }, at) => {
      const cell = cells[row]!;
      const isLast = at === shown.length - 1;
      const text = isLast ? fit(cell.text, lastWidth) : cell.text;
      const pad = " ".repeat(Math.max(0, size - widthOf(text)));
      const painted = cell.paint?.(text) ?? text;
      if (align === "right") return pad + painted;
      return isLast ? painted : painted + pad;
    }).join(GAP).trimEnd();
  return [-1, ...rows.keys()].map((row) => line(row + 1));
}

/** The columns there is room for. The last one is cut to what is left, so it counts by its minimum. */
function fitting(columns: readonly FilledColumn[], width: number): readonly FilledColumn[] {
  const [cheapest] = columns.filter(({ worth }) => worth !== undefined)
    .toSorted((a, b) => a.worth! - b.worth!);
  const needed = before(columns) + Math.min(MIN_LAST, columns.at(-1)?.size ?? 0);
  if (needed <= width || cheapest === undefined) return columns;
  return fitting(columns.filter((one) => one !== cheapest), width);
}

/** Cells in front of the last column. */
function before(columns: readonly FilledColumn[]): number {
  return columns.slice(0, -1).reduce((sum, { size }) => sum + size + GAP.length, 0);
}

/** As many items as there is room for, those of the lowest rank; the order stays. */
export function firstByRank<T>(items: readonly T[], room: number, rank: (item: T) => number): T[] {
  const first = new Set(items.toSorted((a, b) => rank(a) - rank(b)).slice(0, room));
  return items.filter((item) => first.has(item));
}

/** The few roles text has in the output, and what each is painted in. */
const ROLES = {
  bold: "bold",
  dim: "dim",
  good: "green",
  warn: "yellow",
  bad: "red",
  name: "cyan",
} as const;

/** How each role looks; colours for those who did not refuse them (no-color.org). */
export type Style = Readonly<Record<keyof typeof ROLES, (text: string) => string>>;

/** The style for one output stream. */
export function styleFor(
  { isTerminal, env }: Pick<Io, "env"> & Pick<TextOutput, "isTerminal">,
): Style {
  const colors = isTerminal && !env["NO_COLOR"] && env["TERM"] !== "dumb";
  return colors ? COLORED : PLAIN;
}

/** Prints what a command has found out: with `--json` as data, else in lines for people. */
export async function printReport(
  { stdout, env }: Pick<Io, "stdout" | "env">,
  { json }: OptionValues,
  data: unknown,
  linesIn: (style: Style) => readonly string[],
): Promise<void> {
  const style = styleFor({ isTerminal: stdout.isTerminal, env });
  const lines = json === true ? [JSON.stringify(data)] : linesIn(style);
  await print({ stdout }, lines.map((line) => `${line}\n`).join(""));
}

type Format = (typeof ROLES)[keyof typeof ROLES];

function styleOf(paint: (format: Format) => (text: string) => string): Style {
  const painted = Object.entries(ROLES).map(([role, format]) => [role, paint(format)]);
  return Object.fromEntries(painted) as Style;
}

/** Text as it is. */
export const PLAIN: Style = styleOf(() => (text) => text);

/** Text with ANSI colours. */
export const COLORED: Style = styleOf((format) => (text) =>
  // The decision is made above, from the Io: not again from the process's own stdout.
  styleText(format, text, { validateStream: false })
);
