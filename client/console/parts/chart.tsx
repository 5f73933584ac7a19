import { useEffect, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { type Curve, minutesOf, withGaps } from "../data/curves.ts";
import "./chart.css";

/** One curve of a chart. */
export interface ChartCurve {
  readonly name: string;
  /** A class of chart.css that gives it a color. */
  readonly color: "first" | "second" | "bad";
  readonly values: Curve;
}

/** What {@link Chart} needs. */
export interface ChartProps {
  readonly title: string;
  /** Of each point, in seconds since 1970. */
  readonly times: ArrayLike<number>;
  readonly curves: readonly ChartCurve[];
  readonly format: (value: number) => string;
  /** Whether the lines are at multiples of powers of two, as is usual for bytes. */
  readonly isBinary?: boolean;
}

const HEIGHT_PX = 150;
const SHOWN_S = 600;
/** A page that was just opened shows at least so much. */
const LEAST_SHOWN_S = 60;
const BINARY_STEPS = Array.from({ length: 40 }, (_, power) => 2 ** power);

/**
 * Curves of the last ten minutes. The numbers are beside the names: the newest ones, or those under
 * the pointer. A table has them by minute, for those who see no drawing.
 */
export function Chart({ title, times, curves, format, isBinary = false }: ChartProps) {
  const [at, setAt] = useState<number | undefined>(undefined);
  const drawn = withGaps(
    times,
    curves.map(({ values }) => values),
  );
  const [drawnTimes = [], ...lines] = drawn;
  const shown = at ?? drawnTimes.length - 1;
  const time = drawnTimes[shown];
  return (
    <figure class="chart card" aria-label={title}>
      <figcaption>
        <h2>{title}</h2>
        <ul class="legend">
          {curves.map(({ name, color }, i) => (
            <li key={name}>
              <span class={`swatch ${color}`} aria-hidden="true" />
              {name} <b>{textOf(lines[i]?.[shown], format)}</b>
            </li>
          ))}
          {at !== undefined && typeof time === "number" && <li class="quiet">at {timeText(time, true)}</li>}
        </ul>
      </figcaption>
      <Drawing drawn={drawn} curves={curves} format={format} isBinary={isBinary} onPoint={setAt} />
      <Minutes title={title} times={times} curves={curves} format={format} />
    </figure>
  );
}

type DrawingProps = Required<Pick<ChartProps, "curves" | "format" | "isBinary">> & {
  readonly drawn: (number | null)[][];
  /** Called with the point under the pointer. */
  readonly onPoint: (at: number | undefined) => void;
};

/** The drawing, which uPlot makes. It is loaded with the first chart. */
function Drawing(props: DrawingProps) {
  const { drawn, curves } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const newest = useRef(drawn);
  newest.current = drawn;
  const names = curves.map(({ name, color }) => `${name} ${color}`).join();
  useEffect(() => {
    const element = box.current;
    if (element === null) {
      return;
    }
    let isGone = false;
    const sizes = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT_PX }),
    );
    void Promise.all([import("uplot"), import("uplot/dist/uPlot.min.css")]).then(([{ default: UPlot }]) => {
      if (!isGone) {
        const options = optionsOf(element, props);
        plot.current = new UPlot(options, newest.current as uPlot.AlignedData, element);
        sizes.observe(element);
      }
    });
    return () => {
      isGone = true;
      sizes.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [names]);
  useEffect(() => plot.current?.setData(drawn as uPlot.AlignedData));
  return <div ref={box} class="drawing" aria-hidden="true" style={{ height: `${HEIGHT_PX}px` }} />;
}

function optionsOf(element: HTMLElement, { curves, format, isBinary, onPoint }: DrawingProps): uPlot.Options {
  // A canvas knows no variables of CSS: each color is asked for when it is drawn, dark or light.
  const colorOf = (selector: string) => () => {
    const named = element.closest(".chart")?.querySelector(selector);
    return named ? getComputedStyle(named).color : "gray";
  };
  const axis = {
    stroke: colorOf(".axis"),
    grid: { stroke: colorOf(".grid"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return {
    width: element.clientWidth,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    padding: [8, 8, 0, 0],
    scales: {
      x: { range: (_plot, from, to) => [Math.max(to - SHOWN_S, Math.min(from, to - LEAST_SHOWN_S)), to] },
      y: { range: (_plot, _from, to) => [0, to > 0 ? to * 1.1 : 1] },
    },
    series: [
      {},
      ...curves.map(({ name, color }) => ({
        label: name,
        stroke: colorOf(`.swatch.${color}`),
        width: 1.5,
        points: { show: false },
      })),
    ],
    axes: [
      { ...axis, space: 80, size: 24, values: axisTimes },
      {
        ...axis,
        space: 34,
        size: 64,
        values: (_plot, values) => values.map(format),
        ...(isBinary && { incrs: BINARY_STEPS }),
      },
    ],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? undefined)] },
  };
}

/** Lines less than a minute apart have their seconds too. */
function axisTimes(_plot: uPlot, times: readonly number[]): string[] {
  const [first = 0, second = 60] = times;
  return times.map((time) => timeText(time, second - first < 60));
}

/** The same as numbers. They are made while somebody looks. */
function Minutes({ title, times, curves, format }: ChartProps) {
  const [isOpen, setOpen] = useState(false);
  const values = curves.map((curve) => curve.values);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      {/* Both give the drawing the colors of its lines and words. */}
      <summary class="quiet axis">
        As numbers
        <span class="grid" />
      </summary>
      {isOpen && (
        <table>
          <caption class="quiet">{title}: the mean of each minute</caption>
          <thead>
            <tr>
              <th scope="col">Minute</th>
              {curves.map(({ name }) => (
                <th key={name} scope="col" class="number">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {minutesOf(times, values).map(({ time, means }) => (
              <tr key={time}>
                <th scope="row">{timeText(time, false)}</th>
                {means.map((mean, i) => (
                  <td key={curves[i]?.name} class="number">
                    {textOf(mean, format)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </details>
  );
}

function textOf(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? "–" : format(value);
}

const TIME = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const EXACT_TIME = new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" });

function timeText(seconds: number, isExact: boolean): string {
  return (isExact ? EXACT_TIME : TIME).format(seconds * 1000);
}
