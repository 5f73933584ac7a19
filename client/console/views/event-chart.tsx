import { useState } from "preact/hooks";
import type { StreamDescription, Tags } from "../../web.ts";
import { type Bucket, bucketMsOf, bucketsOf, pathOfMeans } from "../data/event-buckets.ts";
import { type Span, tagsField, timesOf } from "../data/events.ts";
import { formatCount, formatDuration, formatTime } from "../data/format.ts";
import { gateway } from "../gateway.ts";
import { useLoad } from "../load.ts";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import "../parts/chart.css";

/** Bars and lines are drawn in so many units from bottom to top. */
const HEIGHT = 100;

const MEAN = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });

interface EventChartProps {
  readonly namespace: string;
  readonly name: string;
  readonly tags: Tags;
  readonly span: Span;
  readonly stream: StreamDescription;
  /** Grows when all is to be read again. */
  readonly readings: number;
}

/** How many events a span of time has, and what their numbers come to. Read once it is opened. */
export function EventChart(props: EventChartProps) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details class="event-chart" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Events by time</summary>
      {isOpen && <Chart {...props} />}
    </details>
  );
}

function Chart({ namespace, name, tags, span, stream, readings }: EventChartProps) {
  const { firstTimestampMs = 0, lastTimestampMs = 0 } = stream;
  const { value, problem, reload } = useLoad(
    async (signal) => {
      const nowMs = Date.now();
      const { startMs = firstTimestampMs, endMs = lastTimestampMs + 1 } = timesOf(span, nowMs);
      const isOpenEnd = span.name !== "all" && span.name !== "between";
      const end = isOpenEnd ? nowMs : endMs;
      if (end <= startMs) {
        return { bucketMs: 0, buckets: [] };
      }
      const bucketMs = bucketMsOf(end - startMs);
      const { timeseries } = gateway.data.namespace(namespace);
      const rows = await timeseries.aggregate(name, { startMs, endMs: end, bucketMs, tags, signal });
      return { bucketMs, buckets: bucketsOf(rows, startMs, end, bucketMs) };
    },
    [
      namespace,
      name,
      span.name,
      span.fromMs,
      span.toMs,
      tagsField(tags),
      firstTimestampMs,
      lastTimestampMs,
      readings,
    ],
  );
  if (value === undefined) {
    return problem === undefined ? (
      <Waiting what="the events" />
    ) : (
      <ProblemNote problem={problem} onRetry={reload} />
    );
  }
  return <Bars {...value} />;
}

function Bars({ bucketMs, buckets }: { readonly bucketMs: number; readonly buckets: readonly Bucket[] }) {
  const most = buckets.reduce((highest, { count }) => Math.max(highest, count), 0);
  if (most === 0) {
    return <p class="quiet">No event is in this span of time.</p>;
  }
  const means = buckets.flatMap(({ mean }) => (mean === undefined ? [] : [mean]));
  return (
    <figure class="chart" aria-label="Events by time">
      <figcaption>
        <ul class="legend">
          <li>
            <span class="swatch first" aria-hidden="true" />
            Events, each bar {formatDuration(bucketMs)}: at most <b>{formatCount(most)}</b>
          </li>
          {means.length > 0 && (
            <li>
              <span class="swatch second" aria-hidden="true" />
              Mean of their numbers: <b>{MEAN.format(Math.min(...means))}</b> to{" "}
              <b>{MEAN.format(Math.max(...means))}</b>
            </li>
          )}
        </ul>
      </figcaption>
      <svg viewBox={`0 0 ${buckets.length} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        {buckets.map(({ startMs, count }, i) => {
          const height = (count / most) * HEIGHT;
          return (
            <rect key={startMs} x={i + 0.1} y={HEIGHT - height} width={0.8} height={height}>
              <title>{`${formatTime(startMs)}: ${formatCount(count)}`}</title>
            </rect>
          );
        })}
        <path d={pathOfMeans(buckets, HEIGHT)} />
      </svg>
      <p class="quiet event-axis">
        <span>{formatTime(buckets[0]?.startMs ?? 0)}</span>
        <span>{formatTime((buckets.at(-1)?.startMs ?? 0) + bucketMs)}</span>
      </p>
      <Numbers buckets={buckets} />
    </figure>
  );
}

/** The same as numbers, for those who see no drawing. Buckets without events are left out. */
function Numbers({ buckets }: { readonly buckets: readonly Bucket[] }) {
  return (
    <details>
      <summary class="quiet">As numbers</summary>
      <table>
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col" class="number">
              Events
            </th>
            <th scope="col" class="number">
              Mean
            </th>
          </tr>
        </thead>
        <tbody>
          {buckets
            .filter(({ count }) => count > 0)
            .map(({ startMs, count, mean }) => (
              <tr key={startMs}>
                <th scope="row">{formatTime(startMs)}</th>
                <td class="number">{formatCount(count)}</td>
                <td class="number">{mean === undefined ? "–" : MEAN.format(mean)}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </details>
  );
}
