import { BUCKET_SECONDS } from "../histogram.ts";
import { FAMILIES, type Family, type FamilyName } from "./families.ts";

/**
 * The two formats that Prometheus reads. They differ in the heads and the end:
 * https://prometheus.io/docs/instrumenting/exposition_formats/ and
 * https://prometheus.io/docs/specs/om/open_metrics_spec/.
 */
export type TextFormat = "prometheus" | "openmetrics";

/** The Content-Type of each. */
export const CONTENT_TYPES: Readonly<Record<TextFormat, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** What comes last. */
export const ENDS: Readonly<Record<TextFormat, string>> = { prometheus: "", openmetrics: "# EOF\n" };

/** With a point, as OpenMetrics wants them, so that both formats make the same series. */
const BOUNDS = BUCKET_SECONDS.map((bound) => (Number.isInteger(bound) ? `${bound}.0` : String(bound)));

/** The lines that come before the samples of a metric. */
export function headOf(name: FamilyName, format: TextFormat): string {
  const { type, help }: Family = FAMILIES[name];
  const family = format === "openmetrics" && type === "counter" ? name.replace(/_total$/, "") : name;
  const text = format === "openmetrics" ? escaped(help) : help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
  return `# HELP ${family} ${text}\n# TYPE ${family} ${type}\n`;
}

/** The labels of a sample, without braces. `values` has one for each label of the metric. */
export function labelsOf(name: FamilyName, values: readonly string[]): string {
  const { labels }: Family = FAMILIES[name];
  let text = "";
  for (let i = 0; i < labels.length; i++) {
    text += `${i === 0 ? "" : ","}${labels[i]}="${escaped(values[i] ?? "")}"`;
  }
  return text;
}

/** The line of one sample. */
export function sampleOf(name: FamilyName, values: readonly string[], value: number): string {
  const labels = labelsOf(name, values);
  return labels === "" ? `${name} ${numberOf(value)}\n` : `${name}{${labels}} ${numberOf(value)}\n`;
}

/** The lines of a histogram of `histogram.ts`. */
export function histogramOf(name: FamilyName, values: readonly string[], counts: Float64Array): string {
  const labels = labelsOf(name, values);
  let text = "";
  let count = 0;
  for (let i = 0; i < BOUNDS.length; i++) {
    count += counts[i] ?? 0;
    text += `${name}_bucket{${labels},le="${BOUNDS[i]}"} ${count}\n`;
  }
  count += counts[BOUNDS.length] ?? 0;
  const sum = (counts[BOUNDS.length + 1] ?? 0) / 1e3;
  return `${text}${name}_bucket{${labels},le="+Inf"} ${count}\n${name}_sum{${labels}} ${numberOf(sum)}\n${name}_count{${labels}} ${count}\n`;
}

function escaped(text: string): string {
  return /[\\"\n]/.test(text) ? text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n") : text;
}

/** A number as both formats write it. */
export function numberOf(value: number): string {
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : value < 0 ? "-Inf" : "NaN";
}
