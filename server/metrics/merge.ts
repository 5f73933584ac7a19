import { FAMILIES, type Family, type FamilyName } from "./families.ts";
import { ENDS, headOf, numberOf, type TextFormat } from "./text-format.ts";

/** The lines between two pauses. */
const SLICE_LINES = 500;

/**
 * The metrics of several processes as those of one, piece by piece. Each text has Prometheus'
 * format and is of `exposition.ts`. Samples with the same labels become one, as `Family.across`
 * says.
 */
export function* merge(texts: readonly string[], format: TextFormat): Generator<string> {
  yield* mergeSome(texts, format, () => true);
}

/** The counters and histograms of several processes as those of one, in Prometheus' format. */
export function countersOf(texts: readonly string[]): string {
  return [...mergeSome(texts, "prometheus", ({ type }) => type !== "gauge")].join("");
}

function* mergeSome(
  texts: readonly string[],
  format: TextFormat,
  isWanted: (family: Family) => boolean,
): Generator<string> {
  const families = new Map<string, Map<string, number>>();
  for (const text of texts) {
    yield* read(text, families);
  }
  for (const name of Object.keys(FAMILIES) as FamilyName[]) {
    if (!isWanted(FAMILIES[name])) {
      continue;
    }
    const samples = families.get(name) ?? new Map<string, number>();
    let lines = samples.size === 0 ? "" : headOf(name, format);
    let count = 0;
    for (const [sample, value] of samples) {
      lines += `${sample} ${numberOf(value)}\n`;
      if (++count % SLICE_LINES === 0) {
        yield lines;
        lines = "";
      }
    }
    yield lines;
  }
  yield ENDS[format];
}

/** Adds the samples of a text to those that are there. Yields nothing, at each pause. */
function* read(text: string, families: Map<string, Map<string, number>>): Generator<string> {
  let combine = COMBINE.sum;
  let samples = new Map<string, number>();
  let count = 0;
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf("\n", at);
    const line = text.slice(at, end);
    at = end + 1;
    if (line.startsWith("# TYPE ")) {
      const name = line.split(" ")[2] ?? "";
      const family: Family | undefined = FAMILIES[name as FamilyName];
      combine = COMBINE[family?.across ?? "sum"];
      samples = families.get(name) ?? new Map<string, number>();
      families.set(name, samples);
    } else if (!line.startsWith("#")) {
      const space = line.lastIndexOf(" ");
      const sample = line.slice(0, space);
      const value = Number(line.slice(space + 1).replace("Inf", "Infinity"));
      const before = samples.get(sample);
      samples.set(sample, before === undefined ? value : combine(before, value));
    }
    if (++count % SLICE_LINES === 0) {
      yield "";
    }
  }
}

const COMBINE: Readonly<Record<NonNullable<Family["across"]>, (a: number, b: number) => number>> = {
  sum: (a, b) => a + b,
  max: Math.max,
  min: Math.min,
};
