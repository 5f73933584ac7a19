import type { ComponentChildren } from "preact";
import { formatCount, formatDuration, formatRate } from "../data/format.ts";
import { callsUnderWay, meanOf, recentQuantileMs } from "../data/traffic.ts";
import { liveTraffic } from "../live-traffic.ts";
import { ProblemNote } from "../parts/notes.tsx";
import { Sparkline } from "../parts/sparkline.tsx";
import { thisGateway } from "../server.ts";

/** Rates are told of the last points together, which are some seconds. */
const RECENT_POINTS = 3;
/** Quantiles need more calls to be steady: a minute. */
const MINUTE_POINTS = 30;

/** What the gateway does now, in a few figures. */
export function Figures() {
  const { history, problem } = liveTraffic();
  const { points, total, latest } = history;
  if (problem?.reason === "permission_denied") {
    return null;
  }
  const rate = (curve: Float32Array) => {
    const mean = meanOf(curve, points, RECENT_POINTS);
    return mean === undefined ? "…" : formatRate(mean);
  };
  const p99Ms = recentQuantileMs(history, total, 0.99, MINUTE_POINTS);
  const isCounted = problem?.reason !== "request_unsupported";
  return (
    <>
      <div class="cards figures">
        <Serving />
        {isCounted && (
          <>
            <Figure name="Calls a second" figure={rate(total.calls)}>
              <Sparkline values={total.calls} points={points} />
            </Figure>
            <Figure name="Failures a second" figure={rate(total.failures)}>
              <Sparkline values={total.failures} points={points} />
            </Figure>
            <Figure
              name="99% answered within"
              figure={p99Ms === undefined ? "–" : formatDuration(p99Ms)}
              note="in the last minute"
            />
            <Figure
              name="Calls under way"
              figure={latest === undefined ? "…" : formatCount(callsUnderWay(latest))}
            />
          </>
        )}
      </div>
      {isCounted ? (
        <ProblemNote problem={problem} />
      ) : (
        <p class="quiet">
          Calls are not counted: <code>metrics.enabled</code> of the configuration is false.
        </p>
      )}
    </>
  );
}

/** How long the gateway has run: counted on from when it was asked. */
function Serving() {
  const { value } = thisGateway();
  if (value === undefined) {
    return <Figure name="Serving" figure="…" />;
  }
  const { serving, uptimeMillis, receivedAtMs, version, nodeVersion } = value;
  return (
    <Figure
      name={serving ? "Serving for" : "Draining, takes no calls; runs for"}
      figure={formatDuration(Number(uptimeMillis) + performance.now() - receivedAtMs)}
      note={`Prism ${version}, Node ${nodeVersion.replace(/^v/, "")}`}
    />
  );
}

function Figure({
  name,
  figure,
  note,
  children,
}: {
  readonly name: string;
  readonly figure: string;
  readonly note?: string;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class="card">
      <div class="quiet">{name}</div>
      <div class="figure">
        {figure}
        {children}
      </div>
      {note !== undefined && <div class="quiet note-line">{note}</div>}
    </div>
  );
}
