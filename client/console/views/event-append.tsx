import { useState } from "preact/hooks";
import { bytesOf, MAX_KEY_BYTES } from "../data/bytes.ts";
import { tagsOf, timeOfField } from "../data/events.ts";
import { formatCount, formatExactTime } from "../data/format.ts";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { TextField } from "../parts/text-field.tsx";
import { tell } from "../parts/toasts.tsx";
import { ValueEditor } from "../parts/value-editor.tsx";
import { EditForm } from "./edit-form.tsx";
import "./streams.css";

type Bytes = Uint8Array<ArrayBuffer>;

const EMPTY = new Uint8Array(0);

/** Appends an event to a stream. A stream is made by its first event. */
export function EventAppend({
  namespace,
  stream: knownStream,
  onDone,
  onClose,
}: {
  readonly namespace: string;
  /** `undefined` = the name is asked for too. */
  readonly stream: string | undefined;
  readonly onDone: (stream: string) => void;
  readonly onClose: () => void;
}) {
  const [typedName, setName] = useState("");
  const [payload, setPayload] = useState<Bytes | undefined>(EMPTY);
  const [typedTags, setTags] = useState("");
  const [time, setTime] = useState("");
  const [isDone, setDone] = useState(false);
  const isChanged = !isDone && (typedName !== "" || payload !== EMPTY || typedTags !== "" || time !== "");
  const stream = knownStream ?? typedName;
  const tags = tagsOf(typedTags);
  const isTooLong = bytesOf(stream).length > MAX_KEY_BYTES;
  const appending = useAction(async (mine: Bytes) => {
    const { timeseries } = gateway.data.namespace(namespace);
    const timestampMs = timeOfField(time);
    const appended = await timeseries.append(stream, mine, { timestampMs, tags });
    setDone(true);
    tell(`Appended at ${formatExactTime(appended.timestampMs)}, offset ${formatCount(appended.offset)}`);
    onDone(stream);
  });
  return (
    <EditForm
      does="Append the event"
      isChanged={isChanged}
      isReady={payload !== undefined && tags !== undefined && !isTooLong}
      saving={appending}
      words={["Append", "Appending …"]}
      onSave={() => payload !== undefined && void appending.run(payload)}
      onLeave={onClose}
    >
      {knownStream === undefined ? <h2>New stream</h2> : <h3>Append an event</h3>}
      {knownStream === undefined && <TextField label="Name" value={typedName} onInput={setName} />}
      {isTooLong && (
        <p class="bad" role="status">
          The name of a stream has at most {MAX_KEY_BYTES} bytes.
        </p>
      )}
      <p class="label">{knownStream === undefined ? "Payload of its first event" : "Payload"}</p>
      <ValueEditor label="Payload" value={EMPTY} onChange={setPayload} />
      <label class="field">
        Tags, as name=value, each on a line of its own
        <textarea
          rows={2}
          value={typedTags}
          spellcheck={false}
          autocomplete="off"
          onInput={(event) => setTags(event.currentTarget.value)}
        />
      </label>
      {tags === undefined && (
        <p class="bad" role="status">
          A line has no name and =, or a name stands there twice.
        </p>
      )}
      <label class="field event-time">
        Time; now, if it is empty
        <input
          type="datetime-local"
          step="0.001"
          value={time}
          onInput={(event) => setTime(event.currentTarget.value)}
        />
      </label>
    </EditForm>
  );
}
