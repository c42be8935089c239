import { type ConfigPath, formatPath } from "../config/issue.ts";

/** Something in the configuration that turns out not to fit what the servers have. */
export interface ShapeNotice {
  /**
   * `unused`: a pattern or name that matches nothing.
   * `taken`: a new name that another entry of the server has; the old one stays.
   * `missing`: a parameter that the tool does not have.
   * `required`: a hidden parameter that the tool requires, and nobody gives.
   */
  readonly type: "unused" | "taken" | "missing" | "required";
  /** Where in the configuration. */
  readonly path: ConfigPath;
  /** The pattern, name or parameter it is about. */
  readonly subject: string;
  /** The tool, where the subject is a parameter; the new name, where it is taken. */
  readonly about?: string;
}

/** A notice in one line, for the log and for `check`. */
export function noticeText({ type, path, subject, about = "" }: ShapeNotice): string {
  const what = JSON.stringify(subject);
  const other = JSON.stringify(about);
  const where = formatPath(path);
  switch (type) {
    case "unused":
      return `${where}: ${what} matches nothing that is offered`;
    case "taken":
      return `${where}: ${what} keeps its name, for the server has another ${other}`;
    case "missing":
      return `${where}: tool ${other} has no parameter ${what}`;
    case "required":
      return `${where}: tool ${other} requires the hidden parameter ${what}; ` +
        'give it a value in "fixed" or "defaults"';
  }
}
