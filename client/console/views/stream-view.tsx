import { useEffect, useRef, useState } from "preact/hooks";
import type { StreamDescription } from "../../web.ts";
import { mayUseNamespace } from "../caller.ts";
import { visible } from "../data/bytes.ts";
import {
  type EventPlace,
  fieldsOfSpan,
  placeInAddress,
  placeText,
  type Span,
  spanInAddress,
  tagsField,
  tagsInAddress,
  timesOf,
} from "../data/events.ts";
import { formatCount, formatExactTime, formatTime } from "../data/format.ts";
import { snippetsOf } from "../data/snippets.ts";
import { gateway } from "../gateway.ts";
import { useAction, useLoad } from "../load.ts";
import { CopyAs, copy } from "../parts/copy.tsx";
import { ask } from "../parts/dialog.tsx";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import { tell } from "../parts/toasts.tsx";
import type { Problem } from "../problem.ts";
import type { Route } from "../route.ts";
import { useShortcuts } from "../shortcuts.ts";
import { targetOf } from "../target.ts";
import { EventAppend } from "./event-append.tsx";
import { EventChart } from "./event-chart.tsx";
import { SpanField, TagsField } from "./event-filter.tsx";
import { FollowedEvents, QueriedEvents } from "./event-list.tsx";
import { EventView } from "./event-view.tsx";
import "./lists.css";
import "./records.css";
import "./streams.css";

/** What the view of a stream needs. */
export interface StreamViewProps {
  readonly namespace: string;
  readonly name: string;
  /** The fields of the address: the span of time, the tags and the event that is open. */
  readonly query: Route["query"];
  readonly mayWrite: boolean;
  /** Shows what these fields of the address say, and nothing else of this stream. */
  readonly show: (fields: Route["query"]) => void;
  readonly onClose: () => void;
  /** Called when the stream is deleted. */
  readonly onGone: () => void;
}

/** A stream: its events, and what can be done with it. */
export function StreamView({ namespace, name, query, mayWrite, show, onClose, onGone }: StreamViewProps) {
  const [isFollowing, setFollowing] = useState(false);
  const [isAppending, setAppending] = useState(false);
  const [readings, setReadings] = useState(0);
  const described = useLoad(
    (signal) => gateway.data.namespace(namespace).timeseries.describeStream(name, { signal }),
    [namespace, name],
  );
  const span = spanInAddress(query);
  const tags = tagsInAddress(query.tags);
  const opened = placeInAddress(query.at);
  const change = (next: { span?: Span; tags?: typeof tags; opened?: EventPlace | undefined }) => {
    const at = "opened" in next ? next.opened : opened;
    show({
      ...fieldsOfSpan(next.span ?? span),
      tags: tagsField(next.tags ?? tags),
      at: at && placeText(at),
    });
  };
  const readAgain = () => {
    described.reload();
    setReadings(readings + 1);
  };
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  const closeEvent = () => change({ opened: undefined });
  useShortcuts([
    opened === undefined
      ? { key: "Escape", does: "Back to the streams", act: onClose }
      : { key: "Escape", does: "Close the event", act: closeEvent },
  ]);
  const list = {
    namespace,
    name,
    tags,
    opened,
    onOpen: (row: EventPlace) => change({ opened: row }),
  };
  return (
    <>
      <div class="key-head">
        <button type="button" class="back" onClick={onClose}>
          ← Streams
        </button>
        <h2 ref={heading} class="mono" tabIndex={-1}>
          {visible(name)}
        </h2>
        <button type="button" onClick={() => copy(name, "The name is copied")}>
          Copy name
        </button>
      </div>
      {/* What comes would make it old. */}
      {!isFollowing && (
        <Description stream={described.value} problem={described.problem} onRetry={readAgain} />
      )}
      <div class="bar event-bar">
        {isFollowing ? (
          <span class="quiet">The newest events, and those that come</span>
        ) : (
          <SpanField span={span} onChange={(chosen) => change({ span: chosen })} />
        )}
        <label>
          <input
            type="checkbox"
            checked={isFollowing}
            onChange={(event) => {
              setFollowing(event.currentTarget.checked);
              described.reload();
            }}
          />{" "}
          Follow
        </label>
        {!isFollowing && (
          <button type="button" onClick={readAgain}>
            Read again
          </button>
        )}
      </div>
      <TagsField tags={tags} onChange={(chosen) => change({ tags: chosen })} />
      {isFollowing ? (
        <FollowedEvents {...list} />
      ) : (
        <>
          {described.value?.firstTimestampMs !== undefined && (
            <EventChart {...{ namespace, name, tags, span, readings }} stream={described.value} />
          )}
          <QueriedEvents
            {...list}
            span={span}
            stream={described.value}
            readings={readings}
            onSpan={(chosen) => change({ span: chosen })}
          />
        </>
      )}
      {isAppending ? (
        <EventAppend
          namespace={namespace}
          stream={name}
          onClose={() => setAppending(false)}
          onDone={() => {
            setAppending(false);
            readAgain();
          }}
        />
      ) : (
        <Actions
          {...{ namespace, name, mayWrite }}
          onAppend={() => setAppending(true)}
          onDeleted={() => {
            onGone();
            onClose();
          }}
        />
      )}
      {opened !== undefined && (
        <EventView
          key={placeText(opened)}
          namespace={namespace}
          stream={name}
          place={opened}
          onTag={(tag, value) => change({ tags: { ...tags, [tag]: value } })}
          onClose={closeEvent}
        />
      )}
      {opened === undefined && (
        <CopyAs
          snippets={snippetsOf(
            { kind: "stream", stream: name, ...timesOf(span, Date.now()), tags },
            targetOf(namespace),
          )}
        />
      )}
    </>
  );
}

function Description({
  stream,
  problem,
  onRetry,
}: {
  readonly stream: StreamDescription | undefined;
  readonly problem: Problem | undefined;
  readonly onRetry: () => void;
}) {
  if (problem?.reason === "stream_not_found") {
    return (
      <p class="note" role="status">
        There is no such stream: it has no event, or was deleted.
      </p>
    );
  }
  if (stream === undefined) {
    return problem === undefined ? (
      <Waiting what="the stream" />
    ) : (
      <ProblemNote problem={problem} onRetry={onRetry} />
    );
  }
  const { retentionDays, firstOffset, nextOffset, firstTimestampMs, lastTimestampMs, createdAtMs } = stream;
  return (
    <>
      <ProblemNote problem={problem} onRetry={onRetry} />
      <p class="key-facts quiet">
        <span>
          {firstOffset === nextOffset
            ? "no events"
            : `offsets ${formatCount(firstOffset)} to ${formatCount(nextOffset - 1)}`}
        </span>
        <span>next offset {formatCount(nextOffset)}</span>
        {firstTimestampMs !== undefined && <span>earliest {formatExactTime(firstTimestampMs)}</span>}
        {lastTimestampMs !== undefined && <span>latest {formatExactTime(lastTimestampMs)}</span>}
        <span>
          {retentionDays === 0
            ? "kept for ever"
            : `kept for ${formatCount(retentionDays)} ${retentionDays === 1 ? "day" : "days"}`}
        </span>
        {createdAtMs !== undefined && <span>made {formatTime(createdAtMs)}</span>}
      </p>
    </>
  );
}

/** What is longer, or has what is not seen, is not typed. */
const MAX_TYPED_LENGTH = 64;

function Actions({
  namespace,
  name,
  mayWrite,
  onAppend,
  onDeleted,
}: Pick<StreamViewProps, "namespace" | "name" | "mayWrite"> & {
  readonly onAppend: () => void;
  readonly onDeleted: () => void;
}) {
  const deleting = useAction(async () => {
    const wasThere = await gateway.data.namespace(namespace).timeseries.deleteStream(name);
    tell(wasThere ? "The stream is deleted" : "There was no such stream");
    onDeleted();
  });
  async function askAndDelete(): Promise<void> {
    const isTyped = visible(name) === name && name.trim() === name && name.length <= MAX_TYPED_LENGTH;
    const text = "All its events are lost. Nobody can bring them back.";
    if (await ask({ title: "Delete the stream?", text, yes: "Delete", ...(isTyped && { typed: name }) })) {
      await deleting.run();
    }
  }
  return (
    <>
      <ProblemNote problem={deleting.problem} />
      <div class="buttons">
        {mayUseNamespace(namespace, "admin") && (
          <button
            type="button"
            class="danger"
            disabled={deleting.isRunning}
            onClick={() => void askAndDelete()}
          >
            Delete stream …
          </button>
        )}
        {mayWrite && (
          <button type="button" class="main" onClick={onAppend}>
            Append an event
          </button>
        )}
      </div>
    </>
  );
}
