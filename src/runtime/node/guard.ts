/** What ends child processes when this process can no longer do it itself. */

import { spawn } from "node:child_process";
import process from "node:process";
import type { Writable } from "node:stream";
import { attempt } from "../../lib/json.ts";
import { codeOf } from "../../lib/text.ts";

/** Options of {@link ProcessGuard}. */
export interface ProcessGuardOptions {
  /** A POSIX shell. @default "/bin/sh" */
  readonly shell?: string;
}

/**
 * Keeps process groups from outliving this process. One small shell process, started with the first
 * group, reads from a pipe which groups there are; the pipe ends with this process, after SIGKILL
 * too, and the shell ends what is left ({@link GUARD_SCRIPT}). It is in a session of its own, where
 * neither Ctrl+C nor a signal to this process' group reaches it. Where the process ends in a way it
 * can notice, the groups are killed at once and the shell has nothing to do.
 *
 * Without a shell (Windows, images without `/bin/sh`) only that second part is left. Linux has
 * `prctl(PR_SET_PDEATHSIG)` for the first, which is no substitute: it has to be called between fork
 * and exec, where neither runtime lets anybody, it is not inherited by grandchildren, and it fires
 * when the thread that forked ends, not the process.
 */
export class ProcessGuard {
  readonly #groups = new Set<number>();
  /** Leads to the shell while it runs. */
  #input: Writable | undefined;
  #isAvailable = process.platform !== "win32";
  #seesExit = false;

  constructor(private readonly options: ProcessGuardOptions = {}) {}

  /** Takes a group under guard. A shell that was lost is started again first. */
  add(group: number): void {
    // 0 and 1 are no groups to kill(2): they are this process' own, and everybody.
    if (!Number.isInteger(group) || group <= 1) return;
    this.#groups.add(group);
    this.#watchExit();
    if (this.#input === undefined) this.#start();
    else this.#input.write(`+${group}\n`);
  }

  /** To be called as soon as the group has ended: from then on its number may be given anew. */
  remove(group: number): void {
    if (this.#groups.delete(group)) this.#input?.write(`-${group}\n`);
  }

  #start(): void {
    if (!this.#isAvailable) return;
    try {
      // On the command line, because Bun writes to a pipe no earlier than in its next turn.
      const groups = [...this.#groups].map(String);
      const { shell: program = "/bin/sh" } = this.options;
      const shell = spawn(program, ["-c", GUARD_SCRIPT, GUARD_NAME, ...groups], {
        // Holds no mount busy, and no output open that somebody reads to its end.
        cwd: "/",
        env: { PATH: `${process.env["PATH"] ?? ""}:/usr/bin:/bin` },
        detached: true,
        stdio: ["pipe", "ignore", "ignore"],
      });
      const { stdin } = shell;
      shell.once("exit", () => this.#lost(stdin));
      shell.on("error", (error) => {
        this.#failed(error);
        this.#lost(stdin);
      });
      if (shell.pid === undefined) return;
      // Its exit tells.
      stdin.on("error", () => {});
      shell.unref();
      unref(stdin);
      this.#input = stdin;
    } catch (error) {
      this.#failed(error);
    }
  }

  /** A shell that is missing stays missing; anything else (too many processes) may pass. */
  #failed(error: unknown): void {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "EACCES") this.#isAvailable = false;
  }

  #lost(input: Writable): void {
    if (this.#input === input) this.#input = undefined;
    input?.destroy();
  }

  #watchExit(): void {
    if (this.#seesExit) return;
    this.#seesExit = true;
    process.on("exit", () => {
      // One may have gone by itself.
      for (const group of this.#groups) attempt(() => process.kill(-group, "SIGKILL"));
    });
  }
}

/** The pipe alone must not keep the process alive. Bun needs no telling, and has no such method. */
function unref(stream: Writable): void {
  (stream as { unref?: () => void }).unref?.();
}

/** The one guard of this process. */
export const guard = new ProcessGuard();

/** Stands in the process table in place of the shell's name. */
export const GUARD_NAME = "mcproxy-guard";

/**
 * The program of the guard process, in POSIX sh (dash, busybox ash and bash run it alike). Its
 * arguments are the groups to begin with. Reads `+<group>` and `-<group>` lines until its stdin
 * ends, which is when the process that writes them has ended, in whatever way. What is still listed
 * then gets a second to end by itself, for its own stdin has ended too, then SIGTERM, and after
 * another second SIGKILL.
 *
 * The signals a terminal or a service manager sends to everybody are ignored: stdin says when to
 * end. Descriptors somebody leaked into the gateway (Deno passes them on) are closed as far as a
 * shell can name them. A line cut off by the end is no line: half a number is somebody else's.
 * A group that cannot be signalled any more is left alone: its number may be given anew.
 * `kill -TERM -123` is the one spelling all three shells take; busybox knows no `--`.
 */
export const GUARD_SCRIPT = `trap '' HUP INT QUIT TERM
exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-
groups=" $* "
while read -r line; do
  group=" \${line#?} "
  case $line in
    +*) groups="$groups\${group# }" ;;
    -*) case $groups in
      *"$group"*) groups="\${groups%%"$group"*} \${groups#*"$group"}" ;;
    esac ;;
  esac
done
signal() {
  reached=
  for group in $groups; do
    kill "-$1" "-$group" && reached="$reached $group"
  done
  groups=$reached
  [ -n "$groups" ] || exit 0
}
signal 0; sleep 1
signal TERM; sleep 1
signal KILL
`;
