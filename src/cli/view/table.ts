import { fit, widthOf } from "../../lib/text.ts";
import { PLAIN, type Style } from "./style.ts";

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
