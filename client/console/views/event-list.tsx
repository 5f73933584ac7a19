import { useEffect, useMemo, useState } from "preact/hooks";
import type { StreamDescription, Tags } from "../../web.ts";
import { EventTail, MOST_EVENTS } from "../data/event-tail.ts";
import {
  EVENTS_PAGE,
  type EventPlace,
  type EventRow,
  eventPages,
  placeText,
  type Span,
  tagsField,
  timesOf,
} from "../data/events.ts";
import { formatBytes, formatCount, formatExactTime, formatTime } from "../data/format.ts";
import { curlOfAppend } from "../data/snippets.ts";
import { freshness, gateway, isAway } from "../gateway.ts";
import { Empty, ProblemNote, Waiting } from "../parts/notes.tsx";
import { Rows } from "../parts/rows.tsx";
import { isDenial, problemOf } from "../problem.ts";
import { targetOf } from "../target.ts";
import { isVisible } from "../visible.ts";
import { useNames } from "./names-side.tsx";

const ROW_HEIGHT_PX = 32;
const BORDERS_PX = 2;
const HOUR_MS = 3_600_000;

/** What a list of events needs. */
export interface EventListProps {
  readonly namespace: string;
  readonly name: string;
  /** Only events with all of them. */
  readonly tags: Tags;
  /** The event that is open. */
  readonly opened: EventPlace | undefined;
  readonly onOpen: (place: EventPlace) => void;
}

/** The events of a span of time. They are read as they are needed. */
export function QueriedEvents({
  namespace,
  name,
  tags,
  opened,
  onOpen,
  span,
  stream,
  readings,
  onSpan,
}: EventListProps & {
  readonly span: Span;
  /** `undefined` = it is not known yet, or there is none. */
  readonly stream: StreamDescription | undefined;
  /** Grows when all is to be read again. */
  readonly readings: number;
  readonly onSpan: (span: Span) => void;
}) {
  const { pages } = useNames(
    (signal) => {
      const { timeseries } = gateway.data.namespace(namespace);
      return eventPages(timeseries, name, { ...timesOf(span, Date.now()), tags }, signal);
    },
    [namespace, name, span.name, span.fromMs, span.toMs, tagsField(tags), readings],
    EVENTS_PAGE,
  );
  const { items, isAtEnd } = pages;
  const problem = pages.problem === undefined ? undefined : problemOf(pages.problem);
  if (problem?.reason === "stream_not_found") {
    return null;
  }
  return (
    <>
      <ProblemNote problem={problem} onRetry={() => pages.retry()} />
      {items.length === 0 && !isAtEnd && problem === undefined && <Waiting what="the events" />}
      <p class="quiet" role="status">
        {items.length > 0 &&
          `${formatCount(items.length)} ${items.length === 1 ? "event" : "events"}${isAtEnd ? "" : " or more"}`}
      </p>
      {items.length === 0 && isAtEnd && <NoEvents {...{ namespace, name, tags, stream, onSpan }} />}
      {items.length > 0 && <Events {...{ opened, onOpen }} rows={items} onSeen={(to) => pages.see(to)} />}
    </>
  );
}

/** Says where events are, if the span has none. */
function NoEvents({
  namespace,
  name,
  tags,
  stream,
  onSpan,
}: Pick<EventListProps, "namespace" | "name" | "tags"> & {
  readonly stream: StreamDescription | undefined;
  readonly onSpan: (span: Span) => void;
}) {
  const lastMs = stream?.lastTimestampMs;
  if (lastMs === undefined) {
    return (
      <Empty title="The stream has no event" command={curlOfAppend(name, targetOf(namespace))}>
        <p>Append one here, or from a terminal, then read again:</p>
      </Empty>
    );
  }
  const hasTags = tagsField(tags) !== undefined;
  return (
    <Empty title={hasTags ? "No event of this time has these tags" : "No event is of this time"}>
      <p>The latest event of the stream is of {formatTime(lastMs)}.</p>
      <div class="buttons">
        <button
          type="button"
          onClick={() => onSpan({ name: "between", fromMs: lastMs - HOUR_MS, toMs: undefined })}
        >
          Show the hour before it
        </button>
        <button type="button" onClick={() => onSpan({ name: "all" })}>
          Show all
        </button>
      </div>
    </Empty>
  );
}

/** The newest events, and those that come while somebody may see the page. */
export function FollowedEvents({ namespace, name, tags, opened, onOpen }: EventListProps) {
  const [, draw] = useState(0);
  const [count, setCount] = useState(0);
  const tail = useMemo(
    () =>
      new EventTail(gateway.data.namespace(namespace).timeseries, name, tags, () =>
        draw((drawn) => drawn + 1),
      ),
    [namespace, name, tagsField(tags)],
  );
  const fresh = freshness.value;
  const isSeen = isVisible.value;
  useEffect(() => {
    if (isSeen) {
      tail.start();
    }
    return () => tail.stop();
  }, [tail, isSeen, fresh, count]);
  const { rows, skipped } = tail;
  const problem = tail.problem === undefined ? undefined : problemOf(tail.problem);
  // What was there was for somebody else.
  const isDenied = problem !== undefined && isDenial(problem);
  return (
    <>
      <ProblemNote problem={problem} onRetry={() => setCount(count + 1)} />
      <p class="quiet" role="status">
        {tail.isLost || isAway.value
          ? "The gateway is lost. It goes on behind the last event when it is back."
          : problem === undefined && rows.length === 0
            ? "Waiting for events …"
            : ""}
      </p>
      {rows.length > 0 && !isDenied && <Events {...{ rows, opened, onOpen }} isTail />}
      <p class="quiet">
        {skipped > 0 && `${formatCount(skipped)} events came while nobody looked, and are not shown. `}
        {rows.length === MOST_EVENTS && `The last ${formatCount(MOST_EVENTS)} are kept.`}
      </p>
    </>
  );
}

function Events({
  rows,
  opened,
  onOpen,
  onSeen,
  isTail = false,
}: Pick<EventListProps, "opened" | "onOpen"> & {
  readonly rows: readonly EventRow[];
  readonly onSeen?: (to: number) => void;
  /** Whether rows come at the end while others go at the start. */
  readonly isTail?: boolean;
}) {
  /** Not its index: rows go. */
  const [current, setCurrent] = useState<EventRow | undefined>(undefined);
  const openedText = opened && placeText(opened);
  return (
    <div
      class="list-rows item-rows event-rows"
      // As high as its events: the one that is open stands below.
      style={{ height: `min(24rem, 50dvh, ${rows.length * ROW_HEIGHT_PX + BORDERS_PX}px)` }}
    >
      <Rows
        label="Events"
        count={rows.length}
        rowHeightPx={ROW_HEIGHT_PX}
        current={current === undefined ? -1 : rows.indexOf(current)}
        onCurrent={(index) => setCurrent(rows[index])}
        onOpen={(index) => {
          const row = rows[index];
          if (row !== undefined) {
            onOpen(row);
          }
        }}
        onSeen={(_from, to) => onSeen?.(to)}
        staysAtEnd={isTail}
      >
        {(index) => {
          const row = rows[index];
          return row && <EventCells row={row} isOpened={placeText(row) === openedText} />;
        }}
      </Rows>
    </div>
  );
}

function EventCells({ row, isOpened }: { readonly row: EventRow; readonly isOpened: boolean }) {
  const { offset, timestampMs, tags, preview } = row;
  return (
    <>
      <span class="number event-offset" title="offset">
        {formatCount(offset)}
      </span>
      <span class={isOpened ? "event-time opened" : "event-time"}>{formatExactTime(timestampMs)}</span>
      {tags !== "" && (
        <span class="mono key event-rows-tags" title={tags}>
          {tags}
        </span>
      )}
      <span class="mono key item-value">{preview.text}</span>
      <span class="size">{formatBytes(preview.size)}</span>
    </>
  );
}
