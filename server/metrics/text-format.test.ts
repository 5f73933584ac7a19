import { describe, expect, test } from "vitest";
import { readPrometheusText } from "../../tests/helpers/prometheus-text.ts";
import { BUCKET_SECONDS, HISTOGRAM_SLOTS, observe } from "../histogram.ts";
import { FAMILIES, type FamilyName } from "./families.ts";
import { ENDS, headOf, histogramOf, sampleOf } from "./text-format.ts";

describe.each(["prometheus", "openmetrics"] as const)("%s", (format) => {
  const family = (name: FamilyName) => (format === "openmetrics" ? name.replace(/_total$/, "") : name);

  test("every text in a label comes back", () => {
    const texts = ["", "plain", 'a"b', "a\\b", "a\nb", '\\n"\n\\', "é{},= #"];
    const name = "prism_request_failures_total";
    const text =
      headOf(name, format) + texts.map((each, i) => sampleOf(name, [each], i)).join("") + ENDS[format];
    const samples = readPrometheusText(text, format).get(family(name))?.samples ?? [];
    expect(samples.map(({ labels: { reason } }) => reason)).toEqual(texts);
  });

  test("numbers of any size come back", () => {
    const name = "prism_connections";
    const values = [0, 1, 0.1, 1e-9, 2 ** 53, 1e21, Number.POSITIVE_INFINITY];
    const lines = values.map((value, i) => sampleOf(name, [String(i)], value));
    const text = headOf(name, format) + lines.join("") + ENDS[format];
    expect(
      readPrometheusText(text, format)
        .get(name)
        ?.samples.map(({ value }) => value),
    ).toEqual(values);
  });

  test("a duration counts in each bucket from its own on", () => {
    const name = "prism_request_duration_seconds";
    const counts = new Float64Array(HISTOGRAM_SLOTS);
    for (const ms of [0, 0.1, 0.11, 10_000, 10_001]) {
      observe(counts, 0, ms);
    }
    const text = headOf(name, format) + histogramOf(name, ["n", "m"], counts) + ENDS[format];
    const samples = readPrometheusText(text, format).get(name)?.samples ?? [];
    const bucket = (le: number) =>
      samples.find(({ labels }) => labels.le !== undefined && Number(labels.le) === le)?.value;
    expect(BUCKET_SECONDS.map(bucket)).toEqual(
      BUCKET_SECONDS.map((bound) => (bound === 0.0001 ? 2 : bound < 10 ? 3 : 4)),
    );
    expect(samples.slice(-3).map(({ value }) => value)).toEqual([5, 20.00121, 5]);
  });
});

test("names and labels are as Prometheus wants them", () => {
  for (const [name, { type, labels }] of Object.entries(FAMILIES)) {
    expect(name).toMatch(/^(prism|process|nodejs)_[a-z0-9_]+$/);
    expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"]);
    for (const label of labels) {
      expect(label).toMatch(/^[a-z]+$/);
    }
  }
});
