/**
 * A strict reader of Prometheus' text format 0.0.4 and of OpenMetrics 1.0. It shares no code with
 * the writer, and refuses what a lenient scraper might take.
 */

/** One sample. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric with its samples. */
export interface MetricFamily {
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const HEAD = /^# (HELP|TYPE) (\S+) (.*)$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,(?=.)|$)/;
const NUMBER = /^(?:[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+Inf|-Inf|NaN)$/;

/** Reads a whole text; the metrics by the names in their heads. Throws at the first fault. */
export function readPrometheusText(
  text: string,
  format: "prometheus" | "openmetrics",
): ReadonlyMap<string, MetricFamily> {
  const families = new Map<string, MetricFamily>();
  const seen = new Set<string>();
  const lines = text.split("\n");
  if (lines.pop() !== "") {
    throw new Error("the last line has no end");
  }
  if (format === "openmetrics" && lines.pop() !== "# EOF") {
    throw new Error("the end is not marked");
  }
  let help: { readonly name: string; readonly text: string } | undefined;
  let current: { readonly name: string; readonly family: MetricFamily } | undefined;
  for (const line of lines) {
    const [, kind, name = "", rest = ""] = HEAD.exec(line) ?? [];
    if (kind === "HELP") {
      if (families.has(name) || help !== undefined || !NAME.test(name)) {
        throw new Error(`misplaced: ${line}`);
      }
      help = { name, text: rest };
    } else if (kind === "TYPE") {
      if (help?.name !== name || !["counter", "gauge", "histogram"].includes(rest)) {
        throw new Error(`misplaced: ${line}`);
      }
      current = { name, family: { type: rest, help: help.text, samples: [] } };
      families.set(name, current.family);
      help = undefined;
    } else {
      const sample = readSample(line);
      if (help !== undefined || current === undefined || !isOf(sample.name, current, format)) {
        throw new Error(`outside of its metric: ${line}`);
      }
      const series = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
      if (seen.has(series)) {
        throw new Error(`twice: ${line}`);
      }
      seen.add(series);
      current.family.samples.push(sample);
    }
  }
  for (const [name, { type, samples }] of families) {
    if (samples.length === 0) {
      throw new Error(`${name} has no samples`);
    }
    if (type === "counter" && samples.some(({ value }) => !(value >= 0))) {
      throw new Error(`${name} counts below zero`);
    }
    if (type === "histogram") {
      checkHistogram(name, samples);
    }
  }
  return families;
}

function readSample(line: string): Sample {
  const [, name, labelText = "", number = ""] = SAMPLE.exec(line) ?? [];
  if (name === undefined || !NUMBER.test(number)) {
    throw new Error(`no sample: ${line}`);
  }
  const labels: Record<string, string> = {};
  for (let rest = labelText; rest !== ""; ) {
    const [whole = "", label, value = ""] = LABEL.exec(rest) ?? [];
    if (label === undefined || label in labels) {
      throw new Error(`no labels: ${line}`);
    }
    labels[label] = value.replace(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char));
    rest = rest.slice(whole.length);
  }
  return { name, labels, value: Number(number.replace("Inf", "Infinity")) };
}

/** Whether a sample of this name belongs to a metric. */
function isOf(
  sample: string,
  { name, family: { type } }: { readonly name: string; readonly family: MetricFamily },
  format: "prometheus" | "openmetrics",
): boolean {
  switch (type) {
    case "histogram":
      return ["_bucket", "_sum", "_count"].some((end) => sample === name + end);
    case "counter":
      return format === "openmetrics"
        ? sample === `${name}_total`
        : sample === name && name.endsWith("_total");
    default:
      return sample === name && !name.endsWith("_total");
  }
}

/** Buckets ascend to +Inf, which is the count. */
function checkHistogram(name: string, samples: readonly Sample[]): void {
  const groups = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => JSON.stringify(labels));
  for (const group of groups.values()) {
    const of = (end: string) => group.filter((sample) => sample.name === name + end);
    const buckets = of("_bucket").map(({ labels: { le = "" }, value }) => ({ le, value }));
    const bounds = buckets.map(({ le }) => Number(le.replace("Inf", "Infinity")));
    const [sum, ...sums] = of("_sum");
    const [count, ...counts] = of("_count");
    const ascends = (values: readonly number[]) => values.every((value, i) => value >= (values[i - 1] ?? 0));
    if (
      sum === undefined ||
      sums.length + counts.length > 0 ||
      bounds.at(-1) !== Number.POSITIVE_INFINITY ||
      new Set(bounds).size !== bounds.length ||
      !ascends(bounds) ||
      !ascends(buckets.map(({ value }) => value)) ||
      buckets.at(-1)?.value !== count?.value
    ) {
      throw new Error(`a histogram of ${name} is not one`);
    }
  }
}
