import { expect, test } from "vitest";
import { merge } from "../metrics/merge.ts";
import { ToldMetrics } from "./told-metrics.ts";

const textOf = (calls: number, running: number) => `# TYPE prism_requests_total counter
prism_requests_total{namespace="a",method="m",code="OK"} ${calls}
# TYPE prism_request_duration_seconds histogram
prism_request_duration_seconds_count{namespace="a",method="m"} ${calls}
# TYPE prism_requests_in_flight gauge
prism_requests_in_flight{namespace="a",method="m"} ${running}
`;

const valuesOf = (told: ToldMetrics<string>) =>
  Object.fromEntries(
    [...merge(told.texts, "prometheus")]
      .join("")
      .split("\n")
      .flatMap((line) => {
        const [, name, value] = /^(\w+)\{.* (\d+)$/.exec(line) ?? [];
        return name === undefined ? [] : [[name.replace(/^prism_/, ""), Number(value)]];
      }),
  );

test("of a worker that has ended the counters stay, and of one that did not answer all", () => {
  const told = new ToldMetrics<string>();
  told.set("first", textOf(10, 1));
  told.set("second", textOf(5, 2));
  told.set("first", textOf(20, 3));
  expect(valuesOf(told)).toEqual({
    requests_total: 25,
    request_duration_seconds_count: 25,
    requests_in_flight: 5,
  });

  told.end("first");
  told.end("first");
  told.end("one that told nothing");
  expect(valuesOf(told)).toEqual({
    requests_total: 25,
    request_duration_seconds_count: 25,
    requests_in_flight: 2,
  });

  told.set("third", textOf(1, 0));
  told.end("second");
  told.end("third");
  expect(valuesOf(told)).toEqual({ requests_total: 26, request_duration_seconds_count: 26 });
});
