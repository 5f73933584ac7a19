import { useEffect, useRef } from "preact/hooks";
import { type EventPlace, readEvent, tagText } from "../data/events.ts";
import { formatBytes, formatCount, formatExactTime } from "../data/format.ts";
import { snippetsOf } from "../data/snippets.ts";
import { gateway } from "../gateway.ts";
import { useLoad } from "../load.ts";
import { CopyAs } from "../parts/copy.tsx";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import { download, ValueView } from "../parts/value-view.tsx";
import { targetOf } from "../target.ts";

/** An event of a stream: its time, its tags and its payload. */
export function EventView({
  namespace,
  stream,
  place,
  onTag,
  onClose,
}: {
  readonly namespace: string;
  readonly stream: string;
  readonly place: EventPlace;
  /** Called with a tag that other events are to have too. */
  readonly onTag: (name: string, value: string) => void;
  readonly onClose: () => void;
}) {
  const { offset, timestampMs } = place;
  const { value, problem, reload } = useLoad(
    async (signal) => ({
      event: await readEvent(gateway.data.namespace(namespace).timeseries, stream, place, signal),
    }),
    [namespace, stream, offset, timestampMs],
  );
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const event = value?.event;
  return (
    <section class="list-value" aria-label={`Event ${formatCount(offset)}`}>
      <h3 ref={heading} tabIndex={-1}>
        Event {formatCount(offset)}
      </h3>
      <ProblemNote problem={problem} onRetry={reload} />
      {value === undefined && problem === undefined && <Waiting what="the event" />}
      {value !== undefined && event === undefined && (
        <p class="note" role="status">
          There is no such event. Its stream was deleted, or it is past its retention.
        </p>
      )}
      {event !== undefined && (
        <>
          <p class="key-facts quiet">
            <span>{formatExactTime(timestampMs)}</span>
            <span>{formatBytes(event.payload.length)}</span>
          </p>
          {Object.keys(event.tags).length > 0 && (
            <ul class="bar event-tags" aria-label="Tags">
              {Object.entries(event.tags).map((tag) => (
                <li key={tag[0]}>
                  <button
                    type="button"
                    class="mono tag"
                    title="Only events with this tag"
                    onClick={() => onTag(...tag)}
                  >
                    {tagText(tag)}
                  </button>
                </li>
              ))}
            </ul>
          )}
          <ValueView bytes={event.payload} />
          <div class="buttons">
            <button type="button" onClick={() => download(event.payload, `${stream}-${offset}`)}>
              Download
            </button>
            <button type="button" onClick={onClose}>
              Close
            </button>
          </div>
          <CopyAs
            snippets={snippetsOf(
              { kind: "stream", stream, startMs: timestampMs, endMs: timestampMs + 1 },
              targetOf(namespace),
            )}
          />
        </>
      )}
    </section>
  );
}
