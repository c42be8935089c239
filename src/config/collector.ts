/** Gathers what is wrong with one configuration, each at its place. */

import { type ConfigIssue, type ConfigPath, formatPath } from "./issue.ts";
import type { Places } from "./tree.ts";

/** A hostile or generated file may have millions; nobody reads more. */
const MAX_ISSUES = 100;

/** What can be said about an issue beside its message. */
export interface IssueOptions {
  readonly remedy?: string | undefined;
  /** What of the path to point at; the value by default. */
  readonly part?: "key" | "value";
}

/** Issues and warnings of one configuration, at most a hundred of each. */
export class IssueCollector {
  readonly issues: ConfigIssue[] = [];
  readonly warnings: ConfigIssue[] = [];
  readonly #places: Places;

  constructor(places: Places) {
    this.#places = places;
  }

  /** Adds something that makes the configuration invalid. */
  error(path: ConfigPath, message: string, options?: IssueOptions): void {
    if (this.issues.length < MAX_ISSUES) this.issues.push(this.issue(path, message, options));
  }

  /** Adds something that is valid and most likely not meant. */
  warn(path: ConfigPath, message: string, options?: IssueOptions): void {
    if (this.warnings.length < MAX_ISSUES) this.warnings.push(this.issue(path, message, options));
  }

  /** An issue at a place of the configuration, not added. */
  issue(path: ConfigPath, message: string, options: IssueOptions = {}): ConfigIssue {
    const { remedy, part } = options;
    const { file, line, column, path: written } = this.#places.place(path, part);
    return {
      file,
      line,
      column,
      path: formatPath(written),
      message,
      ...(remedy === undefined ? {} : { remedy }),
    };
  }
}
