/** The program of the guard process, in POSIX sh (dash, busybox ash and bash run it alike). */

/** Stands in the process table in place of the shell's name. */
export const GUARD_NAME = "mcproxy-guard";

/**
 * Its arguments are the groups to begin with. Reads `+<group>` and `-<group>` lines until its stdin
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
