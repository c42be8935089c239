/** What has to be undone when a test ends, last first. One failure does not keep the rest. */
export class Scope implements AsyncDisposable {
  readonly #undo: (() => unknown)[] = [];

  /** Remembers an action for the end. */
  defer(undo: () => unknown): void {
    this.#undo.push(undo);
  }

  /** Remembers to close something and returns it. */
  use<T extends { close(): unknown }>(closable: T): T {
    this.defer(() => closable.close());
    return closable;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = [];
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        await undo();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, "Cannot clean up after a test");
  }
}
