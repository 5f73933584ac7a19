import { useState } from "preact/hooks";
import { bytesOf, MAX_KEY_BYTES } from "../data/bytes.ts";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { TextField } from "../parts/text-field.tsx";
import { tell } from "../parts/toasts.tsx";
import { problemOf } from "../problem.ts";
import { hrefOf } from "../route.ts";
import { EditForm } from "./edit-form.tsx";

/** As server/limits.ts has it. */
const MAX_RETENTION_DAYS = 36_500;

/** Makes a stream without events, with a retention of its own. */
export function StreamNew({
  namespace,
  onMade,
  onClose,
}: {
  readonly namespace: string;
  readonly onMade: (stream: string) => void;
  readonly onClose: () => void;
}) {
  const [name, setName] = useState("");
  const [days, setDays] = useState("");
  const [taken, setTaken] = useState<string | undefined>(undefined);
  const [isMade, setMade] = useState(false);
  const isTooLong = bytesOf(name).length > MAX_KEY_BYTES;
  const making = useAction(async () => {
    // CreateStream would change the retention of one that is there.
    if (await isThere(namespace, name)) {
      setTaken(name);
      return;
    }
    await gateway.data.namespace(namespace).timeseries.createStream(name, { retentionDays: Number(days) });
    setMade(true);
    tell("The stream is made");
    onMade(name);
  });
  return (
    <EditForm
      does="Make the stream"
      isChanged={!isMade && (name !== "" || days !== "")}
      isReady={!isTooLong}
      saving={making}
      words={["Make it", "Making it …"]}
      onSave={() => void making.run()}
      onLeave={onClose}
    >
      <h2>New stream</h2>
      <TextField label="Name" value={name} onInput={setName} />
      {isTooLong && (
        <p class="bad" role="status">
          The name of a stream has at most {MAX_KEY_BYTES} bytes.
        </p>
      )}
      <label class="ttl">
        Keep its events for{" "}
        <input
          type="number"
          min="1"
          max={MAX_RETENTION_DAYS}
          step="1"
          inputMode="numeric"
          value={days}
          onInput={(event) => setDays(event.currentTarget.value)}
        />{" "}
        days
      </label>
      <p class="quiet">Without a number they are kept as the namespace says, or for ever.</p>
      {taken === name && (
        <p class="note problem" role="alert">
          There is a stream with this name already; it was not changed.{" "}
          <a href={hrefOf(["ns", namespace, "streams"], { name })}>Open it</a>, or choose another name.
        </p>
      )}
    </EditForm>
  );
}

async function isThere(namespace: string, name: string): Promise<boolean> {
  try {
    await gateway.data.namespace(namespace).timeseries.describeStream(name);
    return true;
  } catch (error) {
    if (problemOf(error).reason === "stream_not_found") {
      return false;
    }
    throw error;
  }
}
