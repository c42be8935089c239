/** "Did you mean": the nearest of a few known words, or nothing where none is near. */

/**
 * Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`: the optimal string
 * alignment distance. Quadratic in the lengths: meant for names, so callers bound their input.
 */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(
        at(last, j) + 1,
        at(row, j - 1) + 1,
        at(last, j - 1) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, at(beforeLast, j - 2) + 1);
      }
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? 0;
}

/** Longer words are nobody's typing mistake, and would make the search slow. */
const LONGEST_WORD = 64;

/**
 * The candidate that `word` was most likely meant to be, or undefined.
 *
 * Upper and lower case, `-` and `_` count as equal (`startup_timeout` means `startupTimeout`);
 * otherwise up to a third of the word may differ, or the word be the beginning of the candidate
 * (`warn` means `warning`). Between equals the first candidate wins, so the order decides.
 */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length === 0 || word.length > LONGEST_WORD) return undefined;
  const wanted = fold(word);
  let best: string | undefined;
  let begun: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const folded = fold(candidate);
    if (wanted.length >= 3 && folded.startsWith(wanted)) begun ??= candidate;
    const allowed = Math.max(1, Math.floor(Math.max(wanted.length, folded.length) / 3));
    if (Math.abs(folded.length - wanted.length) > allowed) continue;
    const distance = editDistance(wanted, folded);
    if (distance <= allowed && distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best ?? begun;
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll(/[-_\s]/g, "");
}
