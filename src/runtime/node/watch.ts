/** Directory watching, through `node:fs` on both runtimes. */

import { type FSWatcher, statSync, watch } from "node:fs";
import { lstat, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { clearTimeout, setTimeout } from "node:timers";

/**
 * Milliseconds between the end of a watch and the news of it. Deno gives a watch back a turn of the
 * event loop after `close()`; a new watch on the same path before that would get the dead one.
 */
const RELEASE_DELAY = 20;

/**
 * {@link Runtime.watchDirectory}. A directory, never a file: only so do writes, atomic renames,
 * removals and symlink swaps all show, on both runtimes.
 */
export function watchDirectory(
  path: string,
  onChange: () => void,
  onError: (error: unknown) => void,
): Disposable {
  return new DirectoryWatch(resolve(path), onChange, onError);
}

class DirectoryWatch implements Disposable {
  #watcher: FSWatcher | undefined;
  #inode: number | undefined;
  #closed = false;
  #failure: ReturnType<typeof setTimeout> | undefined;
  #checking = false;
  /** An event came during a check, whose answer may therefore be too old. */
  #checkAgain = false;
  /** One of them bore the directory's own name. */
  #ownNameSeen = false;

  constructor(
    private readonly path: string,
    private readonly onChange: () => void,
    private readonly onError: (error: unknown) => void,
  ) {
    try {
      this.#inode = statSync(path).ino;
      this.#watcher = watch(path);
      this.#watcher.on("change", (type, name) => this.#event(type, name));
      this.#watcher.on("error", (error) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  [Symbol.dispose](): void {
    this.#close();
    clearTimeout(this.#failure);
  }

  #close(): void {
    this.#closed = true;
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #event(type: string, name: string | Buffer | null): void {
    if (this.#closed) return;
    this.onChange();
    if (type !== "rename") return;
    if (name === null || String(name) === basename(this.path)) this.#ownNameSeen = true;
    void this.#checkDirectory();
  }

  /**
   * A watch on a directory that was removed, moved or replaced is silent for ever (Deno) or speaks
   * of another place (Bun). All that is seen of it is one `rename` with the directory's own name.
   */
  async #checkDirectory(): Promise<void> {
    if (this.#checking) {
      this.#checkAgain = true;
      return;
    }
    this.#checking = true;
    try {
      do {
        this.#checkAgain = false;
        if (await this.#isOurs()) continue;
        this.#fail(
          new Error(
            `Cannot watch "${this.path}" any longer: it was removed, moved or replaced; ` +
              "expected the directory to stay in place",
          ),
        );
        return;
      } while (this.#checkAgain && !this.#closed);
    } finally {
      this.#checking = false;
    }
  }

  async #isOurs(): Promise<boolean> {
    const ownNameSeen = this.#ownNameSeen;
    this.#ownNameSeen = false;
    try {
      if ((await stat(this.path)).ino !== this.#inode) return false;
      if (!ownNameSeen) return true;
      // A directory made anew often gets the old inode number back. So unless an entry of that name
      // explains the event, it was about the directory itself.
      await lstat(join(this.path, basename(this.path)));
      return true;
    } catch {
      return false;
    }
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#close();
    this.#failure = setTimeout(() => this.onError(error), RELEASE_DELAY);
  }
}
