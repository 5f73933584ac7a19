import { expect, test } from "vitest";
import { merge } from "./merge.ts";

const textOf = (calls: number, delay: number, more = "") => `# HELP prism_requests_total x
# TYPE prism_requests_total counter
prism_requests_total{namespace="a b \\"}",method="m",code="OK"} ${calls}
${more}# HELP prism_request_duration_seconds x
# TYPE prism_request_duration_seconds histogram
prism_request_duration_seconds_bucket{namespace="a",method="m",le="1.0"} ${calls}
prism_request_duration_seconds_bucket{namespace="a",method="m",le="+Inf"} ${calls}
prism_request_duration_seconds_sum{namespace="a",method="m"} ${calls / 4}
prism_request_duration_seconds_count{namespace="a",method="m"} ${calls}
# HELP nodejs_eventloop_delay_max_seconds x
# TYPE nodejs_eventloop_delay_max_seconds gauge
nodejs_eventloop_delay_max_seconds ${delay}
# HELP prism_serving x
# TYPE prism_serving gauge
prism_serving ${calls > 1 ? 1 : 0}
`;

const linesOf = (texts: readonly string[], format: "prometheus" | "openmetrics" = "prometheus") =>
  [...merge(texts, format)].join("").split("\n");

test("the same sample of several processes is their sum, their largest or their smallest", () => {
  const only = 'prism_requests_total{namespace="c",method="m",code="OK"} 5\n';
  const lines = linesOf([textOf(1, 0.5), textOf(2, 0.25, only)]).filter((line) => !line.startsWith("#"));
  expect(lines).toEqual([
    'prism_requests_total{namespace="a b \\"}",method="m",code="OK"} 3',
    'prism_requests_total{namespace="c",method="m",code="OK"} 5',
    'prism_request_duration_seconds_bucket{namespace="a",method="m",le="1.0"} 3',
    'prism_request_duration_seconds_bucket{namespace="a",method="m",le="+Inf"} 3',
    'prism_request_duration_seconds_sum{namespace="a",method="m"} 0.75',
    'prism_request_duration_seconds_count{namespace="a",method="m"} 3',
    "prism_serving 0",
    "nodejs_eventloop_delay_max_seconds 0.5",
    "",
  ]);
});

test("it has heads of its format, each once, and its end", () => {
  const lines = linesOf([textOf(1, 0.5), textOf(2, 0.25)], "openmetrics");
  expect(lines.filter((line) => line.startsWith("# TYPE"))).toEqual([
    "# TYPE prism_requests counter",
    "# TYPE prism_request_duration_seconds histogram",
    "# TYPE prism_serving gauge",
    "# TYPE nodejs_eventloop_delay_max_seconds gauge",
  ]);
  expect(lines.at(-2)).toBe("# EOF");
});
