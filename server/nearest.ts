/** With more edits between two words a suggestion would be a guess. */
const MAX_EDITS = 2;

/** The most names in a list; more are not read. */
const MAX_LISTED = 20;

/** The least letters of a word that can stand for a longer one that begins with it. */
const MIN_BEGINNING = 3;

/**
 * The word of `known` that `word` most likely means: at most two typing errors away, or else
 * beginning with it. `undefined` = none.
 */
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
  return best ?? known.find((candidate) => word.length >= MIN_BEGINNING && candidate.startsWith(word));
}

/**
 * `expected one of: a, b` (only the first ones of many), after a suggestion if `word` is close to
 * one of them.
 */
export function oneOf(known: readonly string[], word: string): string {
  const meant = nearest(word, known);
  const suggestion = meant === undefined ? "" : `did you mean "${meant}"? `;
  const more = known.length > MAX_LISTED ? `, ... (${known.length - MAX_LISTED} more)` : "";
  return `${suggestion}expected one of: ${known.slice(0, MAX_LISTED).join(", ")}${more}`;
}

/**
 * Levenshtein distance, row by row; swapping two neighbors counts as one edit (optimal string
 * alignment).
 */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
          ? (before[j - 2] ?? Number.POSITIVE_INFINITY) + 1
          : Number.POSITIVE_INFINITY;
      next.push(Math.min(replaced, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
