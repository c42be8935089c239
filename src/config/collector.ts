/** Gathers what is wrong with one document, each at its place. */

import type { ConfigDocument } from "./document.ts";
import { type ConfigIssue, type ConfigPath, formatPath } from "./issue.ts";

/** A hostile or generated file may have millions; nobody reads more. */
const MAX_ISSUES = 100;

/** What can be said about an issue beside its message. */
export interface IssueOptions {
  readonly remedy?: string;
  /** What of the path to point at; the value by default. */
  readonly part?: "key" | "value";
}

/** Issues and warnings of one document, at most a hundred of each. */
export class IssueCollector {
  readonly issues: ConfigIssue[] = [];
  readonly warnings: ConfigIssue[] = [];
  readonly document: ConfigDocument;

  constructor(document: ConfigDocument) {
    this.document = document;
  }

  /** Adds something that makes the configuration invalid. */
  error(path: ConfigPath, message: string, options?: IssueOptions): void {
    if (this.issues.length < MAX_ISSUES) this.issues.push(this.issue(path, message, options));
  }

  /** Adds something that is valid and most likely not meant. */
  warn(path: ConfigPath, message: string, options?: IssueOptions): void {
    if (this.warnings.length < MAX_ISSUES) this.warnings.push(this.issue(path, message, options));
  }

  /** An issue at a place of the document, not added. */
  issue(path: ConfigPath, message: string, options: IssueOptions = {}): ConfigIssue {
    const { remedy, part } = options;
    return {
      file: this.document.file,
      ...this.document.position(path, part),
      path: formatPath(path),
      message,
      ...(remedy === undefined ? {} : { remedy }),
    };
  }
}
