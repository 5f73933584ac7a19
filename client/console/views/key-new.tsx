import { useState } from "preact/hooks";
import { bytesOf, MAX_KEY_BYTES } from "../data/bytes.ts";
import { saveEntry } from "../data/key-write.ts";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { TextField } from "../parts/text-field.tsx";
import { tell } from "../parts/toasts.tsx";
import { ValueEditor } from "../parts/value-editor.tsx";
import { hrefOf } from "../route.ts";
import { EditForm } from "./edit-form.tsx";
import { TtlField, ttlOf } from "./key-expiry.tsx";

const EMPTY = new Uint8Array(0);

/** Makes an entry where there is none. */
export function KeyNew({
  namespace,
  start,
  value: startValue = EMPTY,
  onMade,
  onClose,
}: {
  readonly namespace: string;
  /** The key to begin with. */
  readonly start: string;
  readonly value?: Uint8Array<ArrayBuffer> | undefined;
  readonly onMade: (key: string) => void;
  readonly onClose: () => void;
}) {
  const [key, setKey] = useState(start);
  const [value, setValue] = useState<Uint8Array<ArrayBuffer> | undefined>(startValue);
  const [taken, setTaken] = useState<string | undefined>(undefined);
  const [isMade, setMade] = useState(false);
  const isChanged = !isMade && (key !== start || value !== startValue);
  const making = useAction(async (mine: Uint8Array<ArrayBuffer>, ttlSeconds: number | undefined) => {
    const { keyvalue } = gateway.data.namespace(namespace);
    const outcome = await saveEntry(keyvalue, key, undefined, mine, ttlSeconds);
    if (outcome.kind === "conflict") {
      setTaken(key);
      return;
    }
    setMade(true);
    tell("Saved");
    onMade(key);
  });
  const bytes = bytesOf(key).length;
  return (
    <EditForm
      does="Save the new key"
      isChanged={isChanged}
      isReady={value !== undefined && bytes <= MAX_KEY_BYTES}
      saving={making}
      onSave={(form) => value !== undefined && void making.run(value, ttlOf(form))}
      onLeave={onClose}
    >
      <h2>New key</h2>
      <TextField label="Key" value={key} onInput={setKey} />
      {bytes > MAX_KEY_BYTES && (
        <p class="bad" role="status">
          The key has {bytes} bytes; a key has at most {MAX_KEY_BYTES}.
        </p>
      )}
      <p class="label">Value</p>
      <ValueEditor label="Value" value={startValue} onChange={setValue} />
      <TtlField />
      {taken === key && (
        <p class="note problem" role="alert">
          There is an entry with this key already; it was not changed.{" "}
          <a href={hrefOf(["ns", namespace, "keys"], { key })}>Open it</a>, or choose another key.
        </p>
      )}
    </EditForm>
  );
}
