import type { StandardOutputs } from "./output.ts";

/**
 * Which standard stream the systemd journal reads, by `$JOURNAL_STREAM` (`device:inode` of a
 * stream, systemd.exec(5)), or null where there is none.
 *
 * Programs started in a desktop session inherit the variable although their output goes to a
 * terminal, which is why a terminal never counts; any other stream does even if it is not the named
 * one, for a wrapper between the journal and us passes it on.
 */
export function journalStream(
  value: string | undefined,
  outputs: StandardOutputs,
): "stdout" | "stderr" | null {
  if (value === undefined || value === "") return null;
  if (outputs.stdout.identity === value) return "stdout";
  if (outputs.stderr.identity === value) return "stderr";
  return outputs.stdout.isTerminal ? null : "stdout";
}
