/** docs/metrics.md, the dashboard and the alert rules name what `GET /metrics` tells. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { CODE_NAMES } from "../calls/call-meter.ts";
import { REASONS } from "../reasons.ts";
import { FAMILIES, type Family } from "./families.ts";

const read = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");

/** Labels that Prometheus adds. */
const SCRAPED = ["job", "instance"];

/** From the name of a sample to its labels. `up` is Prometheus' own. */
const SAMPLES = new Map<string, readonly string[]>([["up", []]]);
for (const [name, { type, labels }] of Object.entries<Family>(FAMILIES)) {
  if (type === "histogram") {
    SAMPLES.set(`${name}_bucket`, [...labels, "le"]);
    SAMPLES.set(`${name}_sum`, labels);
    SAMPLES.set(`${name}_count`, labels);
  } else {
    SAMPLES.set(name, labels);
  }
}

/** The values of labels that are ours to list. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  code: CODE_NAMES,
  reason: Object.keys(REASONS),
  plane: ["data", "admin"],
  state: ["used", "idle", "active", "heap_used", "heap_total", "external", "array_buffers"],
  result: ["hit", "miss"],
  severity: ["critical", "warning", "info"],
};

const SELECTOR = /([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^{}]*)\}/g;
const MATCHER = /([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"/g;
const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)/g;
const WORDS =
  /^(?:and|or|unless|by|without|on|ignoring|group_left|group_right|sum|rate|increase|max|min|histogram_quantile|time|le)$/;

/**
 * What is wrong with an expression: it names metrics, labels or values that there are not. This
 * reads names, not the grammar.
 */
function faultsOf(expression: string): string[] {
  const faults: string[] = [];
  const labels = new Set(SCRAPED);
  let rest = expression;
  const name = (metric: string) => {
    const own = SAMPLES.get(metric);
    if (own === undefined) {
      faults.push(`no metric ${metric}`);
    }
    for (const label of own ?? []) {
      labels.add(label);
    }
    return own;
  };
  for (const [, metric = "", matchers = ""] of expression.matchAll(SELECTOR)) {
    const own = name(metric);
    for (const [, label = "", operator, value = ""] of matchers.matchAll(MATCHER)) {
      if (own !== undefined && ![...own, ...SCRAPED].includes(label)) {
        faults.push(`${metric} has no label ${label}`);
      }
      const values = operator?.endsWith("~") ? value.split("|") : [value];
      const wrong = values.filter((each) => VALUES[label]?.includes(each) === false);
      faults.push(...wrong.map((each) => `${label} is never ${each}`));
    }
    if (matchers.replace(MATCHER, "").replace(/[\s,]/g, "") !== "") {
      faults.push(`cannot read {${matchers}}`);
    }
  }
  rest = rest.replace(SELECTOR, " ").replace(/\[[^\]]*\]/g, " ");
  const groups = [...rest.matchAll(GROUPING)]
    .flatMap(([, names = ""]) => names.split(","))
    .map((each) => each.trim());
  for (const word of rest.replace(GROUPING, " ").match(/[a-zA-Z_:][a-zA-Z0-9_:]*/g) ?? []) {
    if (!WORDS.test(word)) {
      name(word);
    }
  }
  faults.push(...groups.filter((each) => !labels.has(each)).map((each) => `no label ${each}`));
  const depth = [...rest].reduce((sum, char) => sum + (char === "(" ? 1 : char === ")" ? -1 : 0), 0);
  return depth === 0 ? faults : [...faults, "brackets do not match"];
}

describe("the reader of expressions", () => {
  test.each([
    ["prism_wrong_total", "no metric prism_wrong_total"],
    ["sum(rate(prism_wrong_total[5m]))", "no metric prism_wrong_total"],
    ['prism_requests_total{key="k"}', "prism_requests_total has no label key"],
    ["sum by (key) (prism_requests_total)", "no label key"],
    ['prism_requests_total{code!~"OK|GONE"}', "code is never GONE"],
    ['prism_request_failures_total{reason="tired"}', "reason is never tired"],
    ["prism_request_duration_seconds", "no metric prism_request_duration_seconds"],
    ["sum(prism_serving", "brackets do not match"],
    ["prism_requests_total{code}", "cannot read {code}"],
  ])("finds the fault in %s", (expression, fault) => {
    expect(faultsOf(expression)).toEqual([fault]);
  });
});

test("docs/metrics.md has a row for each metric, as it is declared", () => {
  const rows = read("metrics.md")
    .split("\n")
    .filter((line) => /^\| `(prism|nodejs|process)_\w+` \| (counter|gauge|histogram) \|/.test(line));
  expect(rows).toEqual(
    Object.entries<Family>(FAMILIES).map(
      ([name, { type, labels, help }]) =>
        `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`,
    ),
  );
});

interface Target {
  readonly expr: string;
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly targets?: readonly Target[];
}
interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

describe("the dashboard", () => {
  const { panels, templating }: Dashboard = JSON.parse(read("grafana/prism.json"));

  test("has rows, and panels with numbers of their own", () => {
    const rows = panels.filter(({ type }) => type === "row").map(({ title }) => title);
    expect(rows).toEqual(["Traffic", "Errors", "Latency", "Stores", "Process"]);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });

  test("names only what is told", () => {
    const targets = panels.flatMap(({ targets = [] }) => targets);
    expect(targets.length).toBeGreaterThan(30);
    expect(targets.flatMap(({ expr }) => faultsOf(expr))).toEqual([]);
    for (const { expr } of targets) {
      expect(expr).toContain("$instance");
    }
  });

  test("shows every metric but the sums of its histograms", () => {
    const all = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join("\n");
    const missing = Object.keys(FAMILIES).filter((name) => !all.includes(name));
    expect(missing).toEqual([]);
  });

  test("asks for namespace and instance", () => {
    const queries = Object.fromEntries(templating.list.map(({ name, definition }) => [name, definition]));
    for (const name of ["namespace", "instance"]) {
      const [, inner = "", label] = /^label_values\((.*), (\w+)\)$/.exec(queries[name] ?? "") ?? [];
      expect([label, faultsOf(`sum by (${label}) (${inner})`)]).toEqual([name, []]);
    }
  });
});

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

describe("the alert rules", () => {
  const { groups }: { groups: { name: string; rules: Rule[] }[] } = parse(read("alerts/prism.yml"));
  const rules = groups.flatMap((group) => group.rules);

  test.each(rules)("$alert names only what is told, and says what it is and what to do", (rule) => {
    expect(
      Object.keys(rule).filter((key) => !["alert", "expr", "for", "labels", "annotations"].includes(key)),
    ).toEqual([]);
    expect(faultsOf(rule.expr)).toEqual([]);
    expect(rule.for ?? "1m").toMatch(/^\d+m$/);
    expect(VALUES.severity).toContain(rule.labels.severity);
    expect(rule.annotations.summary).toMatch(/\$labels\.instance/);
    expect(rule.annotations.runbook).toBe(`docs/runbook.md#${rule.alert.toLowerCase()}`);
  });

  test("have each its heading in the runbook, in the same order", () => {
    const headings = [...read("runbook.md").matchAll(/^## (\w+)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(rules.map(({ alert }) => alert));
  });

  test("use in their summaries only labels that their expression leaves", () => {
    for (const { expr, annotations } of rules) {
      const used = [...(annotations.summary ?? "").matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label);
      const known = [...SAMPLES].flatMap(([name, labels]) => (expr.includes(name) ? labels : []));
      expect([...known, ...SCRAPED]).toEqual(expect.arrayContaining(used));
    }
  });
});
