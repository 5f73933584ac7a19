/** More edits than this between two words make a suggestion a guess. */
const MAX_EDITS = 2;

/** The word of `known` that `word` most likely means (two typing errors away at most), or `undefined`. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  // A short word is within two edits of everything.
  let fewest = Math.min(MAX_EDITS, Math.floor(word.length / 3)) + 1;
  let best: string | undefined;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= fewest) {
      continue;
    }
    const edits = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (edits < fewest) {
      fewest = edits;
      best = candidate;
    }
  }
  return best;
}

/** Levenshtein's distance, row by row. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
