import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Namespace } from "../../../gen/prism/control/v1/namespace_pb.ts";
import { mayUseNamespace } from "../caller.ts";
import { type EntryCount, useEntryCounts } from "../counts.ts";
import { formatCount, formatDuration, formatRate } from "../data/format.ts";
import { chosenNamespaces, type NamespaceOrder } from "../data/namespaces.ts";
import { type CallCurves, meanOf } from "../data/traffic.ts";
import { liveTraffic, type Traffic } from "../live-traffic.ts";
import { Sparkline } from "../parts/sparkline.tsx";
import { NamespaceState } from "../parts/state.tsx";
import { hrefOf } from "../route.ts";
import { useShortcuts } from "../shortcuts.ts";
import { FirstEntry } from "./first-entry.tsx";
import "./namespace-list.css";

/** As many as can be counted and seen at once. */
const PAGE_ROWS = 20;
const RECENT_POINTS = 3;

/** The namespaces: found by name, ordered by what is busy, a page at a time. */
export function NamespaceList({ all }: { readonly all: ReadonlyMap<string, Namespace> }) {
  const [text, setText] = useState("");
  const [order, setOrder] = useState<NamespaceOrder>("name");
  const [page, setPage] = useState(0);
  const traffic = liveTraffic();
  const chosen = chosenNamespaces(all, text, order, (name) => {
    const curves = traffic.history.namespaces.get(name);
    return { calls: recent(traffic, curves?.calls), failures: recent(traffic, curves?.failures) };
  });
  const pages = Math.max(1, Math.ceil(chosen.length / PAGE_ROWS));
  const shownPage = Math.min(page, pages - 1);
  const rows = chosen.slice(shownPage * PAGE_ROWS, (shownPage + 1) * PAGE_ROWS);
  const readable = rows.map(({ name }) => name).filter((name) => mayUseNamespace(name, "read"));
  const { counts, countAgain } = useEntryCounts(readable);
  const table = { order, setOrder, counts, countAgain, traffic };
  return (
    <div class="namespace-list">
      <Filter
        found={chosen.length}
        all={all.size}
        onText={(typed) => {
          setText(typed);
          setPage(0);
        }}
      />
      {chosen.length > 0 && <Table rows={rows} {...table} />}
      {pages > 1 && <Pages page={shownPage} pages={pages} onPage={setPage} />}
      {text === "" && isEmpty(all, counts) && <FirstEntry all={rows} onLook={countAgain} />}
    </div>
  );
}

/** Whether nothing is stored anywhere. */
function isEmpty(all: ReadonlyMap<string, Namespace>, counts: ReadonlyMap<string, EntryCount>): boolean {
  return all.values().every(({ name }) => counts.get(name)?.entries === 0);
}

/** The mean of the last seconds; 0 = there was nothing. */
function recent({ history }: Traffic, curve: Float32Array | undefined): number {
  return curve === undefined ? 0 : (meanOf(curve, history.points, RECENT_POINTS) ?? 0);
}

function Filter({
  found,
  all,
  onText,
}: {
  readonly found: number;
  readonly all: number;
  readonly onText: (text: string) => void;
}) {
  const field = useRef<HTMLInputElement>(null);
  useShortcuts([{ key: "/", does: "Find a namespace", act: () => field.current?.focus() }]);
  return (
    <div class="filter">
      <input
        ref={field}
        type="search"
        aria-label="Find a namespace by its name or store"
        placeholder="/ name or store …"
        onInput={(event) => onText(event.currentTarget.value)}
      />
      <span class="quiet" role="status">
        {found === all ? formatCount(all) : `${formatCount(found)} of ${formatCount(all)}`}
      </span>
    </div>
  );
}

interface TableProps {
  readonly rows: readonly Namespace[];
  readonly order: NamespaceOrder;
  readonly setOrder: (order: NamespaceOrder) => void;
  readonly counts: ReadonlyMap<string, EntryCount>;
  readonly countAgain: () => void;
  readonly traffic: Traffic;
}

function Table({ rows, order, setOrder, counts, countAgain, traffic }: TableProps) {
  const heads = { order, setOrder };
  const oldest = Math.min(...rows.map(({ name }) => counts.get(name)?.countedAtMs ?? Infinity));
  return (
    <div class="table">
      <table>
        <thead>
          <tr>
            <Head {...heads} by="name">
              Name
            </Head>
            <Head {...heads} by="store" class="wide">
              Store
            </Head>
            <th>State</th>
            <th class="number">
              Entries{" "}
              <button
                type="button"
                class="again"
                aria-label="Count again"
                title={`Count again. ${countedWhen(oldest)}`}
                onClick={countAgain}
              >
                ↻
              </button>
            </th>
            <Head {...heads} by="calls" class="number">
              Calls/s
            </Head>
            <Head {...heads} by="failures" class="number wide">
              Failures/s
            </Head>
          </tr>
        </thead>
        <tbody>
          {rows.map((namespace) => (
            <Row
              key={namespace.name}
              namespace={namespace}
              count={counts.get(namespace.name)}
              traffic={traffic}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function countedWhen(oldestMs: number): string {
  return Number.isFinite(oldestMs) && oldestMs > 0
    ? `Counted ${formatDuration(Date.now() - oldestMs)} ago`
    : "Not counted yet";
}

function Head({
  by,
  order,
  setOrder,
  class: className = "",
  children,
}: {
  readonly by: NamespaceOrder;
  readonly order: NamespaceOrder;
  readonly setOrder: (order: NamespaceOrder) => void;
  readonly class?: string;
  readonly children: ComponentChildren;
}) {
  const direction = by === "name" || by === "store" ? "ascending" : "descending";
  return (
    <th class={className} aria-sort={order === by ? direction : "none"}>
      <button type="button" class="order" onClick={() => setOrder(by)}>
        {children}
        <span aria-hidden="true">{order === by ? (direction === "ascending" ? " ↑" : " ↓") : ""}</span>
      </button>
    </th>
  );
}

function Row({
  namespace: { name, backend, status },
  count,
  traffic,
}: {
  readonly namespace: Namespace;
  readonly count: EntryCount | undefined;
  readonly traffic: Traffic;
}) {
  const curves = curvesOf(traffic, name);
  return (
    <tr>
      <td class="name">
        <a href={hrefOf(["ns", name, "keys"])}>{name}</a>
      </td>
      <td class="wide">
        <a class="plain" href={hrefOf(["stores", backend])}>
          {backend}
        </a>
      </td>
      <td>
        <NamespaceState status={status} />
      </td>
      <td class="number">
        <Entries count={count} mayRead={mayUseNamespace(name, "read")} />
      </td>
      <td class="number">
        {curves !== undefined && <Sparkline values={curves.calls} points={traffic.history.points} />}
        {curves === undefined ? "–" : formatRate(recent(traffic, curves.calls))}
      </td>
      <td class="number wide">{curves === undefined ? "–" : formatRate(recent(traffic, curves.failures))}</td>
    </tr>
  );
}

const NO_CALLS: CallCurves = { calls: new Float32Array(2), failures: new Float32Array(2) };

/** `undefined` = the gateway does not tell: it counts nothing, or has too many others. */
function curvesOf({ history, problem }: Traffic, name: string): CallCurves | undefined {
  const { latest, namespaces } = history;
  if (latest === undefined || problem?.reason === "request_unsupported") {
    return undefined;
  }
  const areAllTold = latest.namespaceCount <= latest.namespaces.length;
  return namespaces.get(name) ?? (areAllTold ? NO_CALLS : undefined);
}

function Entries({ count, mayRead }: { readonly count: EntryCount | undefined; readonly mayRead: boolean }) {
  if (count?.entries !== undefined) {
    return <>{formatCount(count.entries)}</>;
  }
  const why = mayRead ? (count?.why ?? "Counting") : "Your role may not read this namespace";
  return (
    <span title={why}>
      <span aria-hidden="true">{mayRead && count === undefined ? "…" : "–"}</span>
      <span class="unseen">{why}</span>
    </span>
  );
}

function Pages({
  page,
  pages,
  onPage,
}: {
  readonly page: number;
  readonly pages: number;
  readonly onPage: (page: number) => void;
}) {
  return (
    <nav class="pages" aria-label="Pages of namespaces">
      <button type="button" disabled={page === 0} onClick={() => onPage(page - 1)}>
        Previous
      </button>
      <span>
        Page {formatCount(page + 1)} of {formatCount(pages)}
      </span>
      <button type="button" disabled={page === pages - 1} onClick={() => onPage(page + 1)}>
        Next
      </button>
    </nav>
  );
}
