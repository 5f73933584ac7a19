/** A line of two texts that are compared; `skipped`: so many lines are alike. */
export type DiffLine =
  | { readonly kind: "same" | "theirs" | "mine"; readonly text: string }
  | { readonly kind: "skipped"; readonly count: number };

/** Texts that differ in more lines are not compared line by line: that takes lines times lines. */
const MAX_COMPARED_LINES = 1000;

/** Lines that are alike are shown around those that are not. */
const AROUND_LINES = 3;

/** What two texts have in common, and what each has alone, in order. */
export function diffLines(theirs: string, mine: string): readonly DiffLine[] {
  const a = theirs.split("\n");
  const b = mine.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) {
    head++;
  }
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) {
    tail++;
  }
  const middle = compared(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  return folded([
    ...a.slice(0, head).map((text) => ({ kind: "same" as const, text })),
    ...middle,
    ...a.slice(a.length - tail).map((text) => ({ kind: "same" as const, text })),
  ]);
}

type Line = Exclude<DiffLine, { readonly kind: "skipped" }>;

/** By the longest common subsequence of the lines. */
function compared(a: readonly string[], b: readonly string[]): Line[] {
  if (a.length > MAX_COMPARED_LINES || b.length > MAX_COMPARED_LINES) {
    return [
      ...a.map((text) => ({ kind: "theirs" as const, text })),
      ...b.map((text) => ({ kind: "mine" as const, text })),
    ];
  }
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  const at = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: Line[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ kind: "same", text: a[i++] ?? "" });
      j++;
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ kind: "theirs", text: a[i++] ?? "" });
    } else {
      lines.push({ kind: "mine", text: b[j++] ?? "" });
    }
  }
  return lines;
}

function folded(lines: readonly Line[]): readonly DiffLine[] {
  const near = new Set<number>();
  for (const [i, { kind }] of lines.entries()) {
    for (let by = -AROUND_LINES; kind !== "same" && by <= AROUND_LINES; by++) {
      near.add(i + by);
    }
  }
  const shown: DiffLine[] = [];
  let count = 0;
  for (const [i, line] of lines.entries()) {
    if (near.has(i)) {
      if (count > 0) {
        shown.push({ kind: "skipped", count });
      }
      count = 0;
      shown.push(line);
    } else {
      count++;
    }
  }
  return count > 0 ? [...shown, { kind: "skipped", count }] : shown;
}
