import { useMemo } from "preact/hooks";
import { formatBytes, formatDuration, formatRate } from "../data/format.ts";
import { quantileCurveMs, type TrafficHistory } from "../data/traffic.ts";
import { liveTraffic } from "../live-traffic.ts";
import { Chart, type ChartProps } from "../parts/chart.tsx";
import { CopyText } from "../parts/copy.tsx";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import { Title } from "../parts/title.tsx";
import { TrafficTables } from "./traffic-table.tsx";
import "./traffic.css";

/** What is called, how often, how fast, and what becomes of it. */
export function Traffic() {
  const { history, readings, problem } = liveTraffic();
  return (
    <>
      <Title>Traffic</Title>
      {problem?.reason === "request_unsupported" ? <NotCounted /> : <ProblemNote problem={problem} />}
      {history.latest !== undefined && (
        <>
          <Charts history={history} readings={readings} />
          <TrafficTables history={history} readings={readings} />
        </>
      )}
      {history.latest === undefined && problem === undefined && <Waiting what="the traffic" />}
    </>
  );
}

/** The configuration turns counting off. */
function NotCounted() {
  return (
    <div class="note">
      <p>This gateway does not count its calls. Put this into its configuration and start it again:</p>
      <CopyText text={"metrics:\n  enabled: true"} />
    </div>
  );
}

function Charts({ history, readings }: { readonly history: TrafficHistory; readonly readings: number }) {
  const charts = useMemo(() => chartsOf(history), [history, readings]);
  if (history.points === 0) {
    return (
      <p class="quiet" role="status">
        The curves begin with the second reading, in two seconds.
      </p>
    );
  }
  return (
    <section class="charts" aria-label="The last ten minutes">
      {charts.map((chart) => (
        <Chart key={chart.title} {...chart} />
      ))}
    </section>
  );
}

function chartsOf(history: TrafficHistory): ChartProps[] {
  const { points, total } = history;
  const recent = (curve: Float32Array | Float64Array) => curve.slice(curve.length - points);
  const times = recent(history.times);
  const one = (title: string, curves: ChartProps["curves"], format: ChartProps["format"]) => ({
    title,
    times,
    curves,
    format,
  });
  return [
    one("Calls a second", [{ name: "Calls", color: "first", values: recent(total.calls) }], formatRate),
    one(
      "Failures a second",
      [{ name: "Failures", color: "bad", values: recent(total.failures) }],
      formatRate,
    ),
    one(
      "Time of a call",
      [
        { name: "p50", color: "first", values: quantileCurveMs(history, total, 0.5) },
        { name: "p99", color: "second", values: quantileCurveMs(history, total, 0.99) },
      ],
      formatDuration,
    ),
    one(
      "Delay of the event loop",
      [{ name: "p99", color: "second", values: recent(history.eventLoopDelayP99Ms) }],
      formatDuration,
    ),
    {
      ...one(
        "Memory",
        [{ name: "Resident", color: "first", values: recent(history.residentBytes) }],
        formatBytes,
      ),
      isBinary: true,
    },
    one("Processor", [{ name: "Cores in use", color: "first", values: recent(history.cores) }], formatRate),
  ];
}
