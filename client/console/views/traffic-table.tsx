import { useState } from "preact/hooks";
import { visible } from "../data/bytes.ts";
import { formatCount, formatDuration, formatRate } from "../data/format.ts";
import type { TrafficHistory } from "../data/traffic.ts";
import {
  methodRows,
  namespaceRows,
  sorted,
  type TrafficOrder,
  type TrafficRow,
} from "../data/traffic-table.ts";
import { hrefOf } from "../route.ts";

const ARROWS = { ascending: " ↑", descending: " ↓" } as const;

/** Rows that are drawn unless somebody wants all. */
const FEW = 50;

interface Column {
  readonly order: TrafficOrder;
  readonly name: string;
  /** What more the name means. */
  readonly title?: string;
  readonly textOf: (row: TrafficRow) => string;
}

const orDash = (value: number | undefined, format: (value: number) => string) =>
  value === undefined ? "–" : format(value);

const RATES: readonly Column[] = [
  {
    order: "callsPerSecond",
    name: "Calls/s",
    title: "In the last minute",
    textOf: ({ callsPerSecond }) => orDash(callsPerSecond, formatRate),
  },
  {
    order: "failuresPerSecond",
    name: "Failures/s",
    title: "In the last minute, without NOT_FOUND",
    textOf: ({ failuresPerSecond }) => orDash(failuresPerSecond, formatRate),
  },
];

const TIMES: readonly Column[] = [
  {
    order: "p50Ms",
    name: "p50",
    title: "In the last minute",
    textOf: ({ p50Ms }) => orDash(p50Ms, formatDuration),
  },
  {
    order: "p99Ms",
    name: "p99",
    title: "In the last minute",
    textOf: ({ p99Ms }) => orDash(p99Ms, formatDuration),
  },
];

const CALLS: Column = {
  order: "calls",
  name: "Calls",
  title: "Since the gateway's start",
  textOf: ({ calls }) => formatCount(calls),
};

/** What is called, by method and by namespace. */
export function TrafficTables({
  history,
}: {
  readonly history: TrafficHistory;
  /** Grows with each reading: the history is one object always, and would not be drawn again. */
  readonly readings: number;
}) {
  const [isOwnShown, setOwnShown] = useState(false);
  const { namespaceCount = 0, namespaces = [] } = history.latest ?? {};
  return (
    <>
      <section class="card traffic" aria-labelledby="by-method">
        <div class="head">
          <h2 id="by-method">By method</h2>
          <label class="quiet">
            <input
              type="checkbox"
              checked={isOwnShown}
              onChange={(event) => setOwnShown(event.currentTarget.checked)}
            />{" "}
            Also those of this page and the admin port
          </label>
        </div>
        <TrafficTable
          named="Method"
          rows={methodRows(history, isOwnShown)}
          columns={[...RATES, ...TIMES, CALLS]}
          nameOf={({ name }) => <Method name={name} />}
        />
      </section>
      <section class="card traffic" aria-labelledby="by-namespace">
        <h2 id="by-namespace">By namespace</h2>
        <TrafficTable
          named="Namespace"
          rows={namespaceRows(history)}
          columns={[...RATES, CALLS]}
          nameOf={({ name }) => <a href={hrefOf(["ns", name, "keys"])}>{visible(name)}</a>}
        />
        {namespaceCount > namespaces.length && (
          <p class="quiet">
            {formatCount(namespaceCount)} namespaces have been called. These are those with most calls.
          </p>
        )}
      </section>
    </>
  );
}

function Method({ name }: { readonly name: string }) {
  const [, path = "", service = name, method = ""] = /^(.*?\.?)([^./]+)\/(.*)$/.exec(name) ?? [];
  return (
    <>
      {method === "" ? service : `${service} ${method}`}
      <span class="quiet">{path.replace(/\.$/, "")}</span>
    </>
  );
}

function TrafficTable({
  named,
  rows,
  columns,
  nameOf,
}: {
  readonly named: string;
  readonly rows: readonly TrafficRow[];
  readonly columns: readonly Column[];
  readonly nameOf: (row: TrafficRow) => preact.ComponentChildren;
}) {
  const [order, setOrder] = useState<TrafficOrder>("callsPerSecond");
  const [isReversed, setReversed] = useState(false);
  const [isWhole, setWhole] = useState(false);
  if (rows.length === 0) {
    return <p class="quiet">Nothing has been called since the gateway's start.</p>;
  }
  const inOrder = sorted(rows, order, isReversed);
  const sortBy = (next: TrafficOrder) => {
    setReversed(next === order && !isReversed);
    setOrder(next);
  };
  const head = (column: { order: TrafficOrder; name: string; title?: string }, kind: string) => (
    <th
      key={column.order}
      scope="col"
      class={kind}
      title={column.title}
      aria-sort={column.order === order ? directionOf(order, isReversed) : undefined}
    >
      <button type="button" onClick={() => sortBy(column.order)}>
        {column.name}
        <span aria-hidden="true">{column.order === order && ARROWS[directionOf(order, isReversed)]}</span>
      </button>
    </th>
  );
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a wide table scrolls, by the keyboard too */}
      <section class="table" tabIndex={0} aria-label={`By ${named.toLowerCase()}`}>
        <table>
          <thead>
            <tr>
              {head({ order: "name", name: named }, "")}
              {columns.map((column) => head(column, "number"))}
              <th scope="col" title="Since the gateway's start">
                Not OK
              </th>
            </tr>
          </thead>
          <tbody>
            {inOrder.slice(0, isWhole ? undefined : FEW).map((row) => (
              <tr key={row.name}>
                <th scope="row">{nameOf(row)}</th>
                {columns.map((column) => (
                  <td key={column.order} class="number">
                    {column.textOf(row)}
                  </td>
                ))}
                <td>{row.codes.map(([code, count]) => `${code} ${formatCount(count)}`).join(", ") || "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {!isWhole && rows.length > FEW && (
        <button type="button" onClick={() => setWhole(true)}>
          Show all {formatCount(rows.length)}
        </button>
      )}
    </>
  );
}

/** Names begin with A, and numbers with the largest, unless they are reversed. */
function directionOf(order: TrafficOrder, isReversed: boolean): "ascending" | "descending" {
  return (order === "name") === isReversed ? "descending" : "ascending";
}
