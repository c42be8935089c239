/** "Did you mean": the nearest of a few known words, or nothing where none is near. */

/**
 * Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`: the optimal string
 * alignment distance; `Infinity` where it is more than `most`, which is found out sooner. Quadratic
 * in the lengths: meant for names, so callers bound their input.
 */
export function editDistance(a: string, b: string, most: number = Infinity): number {
  const { length } = b;
  const bound = Math.min(most, Math.max(a.length, length));
  if (Math.abs(a.length - length) > bound) return Infinity;
  const far = bound + 1;
  let beforeLast = new Int32Array(length + 1);
  let last = new Int32Array(length + 1);
  for (let j = 0; j <= length; j++) last[j] = j;
  let row = new Int32Array(length + 1);
  for (let i = 1; i <= a.length; i++) {
    // What is further than that from the diagonal costs more to reach.
    const from = Math.max(1, i - bound);
    const to = Math.min(length, i + bound);
    const code = a.charCodeAt(i - 1);
    const codeBefore = i > 1 ? a.charCodeAt(i - 2) : -1;
    let left = row[from - 1] = from === 1 ? i : far;
    let least = left;
    for (let j = from; j <= to; j++) {
      const other = b.charCodeAt(j - 1);
      let best = last[j - 1]! + (code === other ? 0 : 1);
      if (last[j]! + 1 < best) best = last[j]! + 1;
      if (left + 1 < best) best = left + 1;
      if (j > 1 && codeBefore === other && code === b.charCodeAt(j - 2)) {
        best = Math.min(best, beforeLast[j - 2]! + 1);
      }
      row[j] = left = best;
      if (best < least) least = best;
    }
    if (to < length) row[to + 1] = far;
    // A swap starts one row further back, and comes at a price.
    if (least > bound) return Infinity;
    [beforeLast, last, row] = [last, row, beforeLast];
  }
  return last[length]! <= bound ? last[length]! : Infinity;
}

/** Longer words are nobody's typing mistake, and would make the search slow. */
const LONGEST_WORD = 64;

/**
 * The candidate that `word` was most likely meant to be, or undefined.
 *
 * Upper and lower case, `-` and `_` count as equal (`startup_timeout` means `startupTimeout`);
 * otherwise up to a third of the word may differ, or the word be the beginning of the candidate
 * (`warn` means `warning`). Between equals the first candidate wins, so the order decides.
 *
 * @param most edits beyond which nothing is near; of thousands of candidates only few can be afforded
 */
export function suggest(
  word: string,
  candidates: Iterable<string>,
  most: number = Infinity,
): string | undefined {
  if (word.length === 0 || word.length > LONGEST_WORD) return undefined;
  const wanted = fold(word);
  let best: string | undefined;
  let begun: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const folded = fold(candidate);
    if (wanted.length >= 3 && folded.startsWith(wanted)) begun ??= candidate;
    const allowed = Math.max(1, Math.floor(Math.max(wanted.length, folded.length) / 3));
    // Only a nearer one is of any use.
    const distance = editDistance(wanted, folded, Math.min(allowed, most, bestDistance - 1));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best ?? begun;
}

/** The end of a complaint about a word: ` (did you mean "auto"?)`; empty where none is near. */
export function didYouMean(near: string | undefined): string {
  return near === undefined || near === "" ? "" : ` (did you mean "${near}"?)`;
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll(/[-_\s]/g, "");
}
