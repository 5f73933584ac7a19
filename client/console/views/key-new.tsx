import { useEffect, useRef, useState } from "preact/hooks";
import { bytesOf } from "../data/bytes.ts";
import { saveEntry } from "../data/key-write.ts";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { ask } from "../parts/dialog.tsx";
import { ProblemNote } from "../parts/notes.tsx";
import { tell } from "../parts/toasts.tsx";
import { ValueEditor } from "../parts/value-editor.tsx";
import { hrefOf } from "../route.ts";
import { useShortcuts } from "../shortcuts.ts";
import { TtlField, ttlOf } from "./key-expiry.tsx";
import { useUnsaved } from "./unsaved.ts";

/** As server/limits.ts has it. */
const MAX_KEY_BYTES = 1024;

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
  const form = useRef<HTMLFormElement>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const isChanged = !isMade && (key !== start || value !== startValue);
  useUnsaved(isChanged);
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
  async function leave(): Promise<void> {
    if (
      !isChanged ||
      (await ask({ title: "Discard what you typed?", text: "It is not saved yet.", yes: "Discard" }))
    ) {
      onClose();
    }
  }
  useShortcuts([{ key: "Mod+s", does: "Save the new key", act: () => form.current?.requestSubmit() }]);
  const bytes = bytesOf(key).length;
  return (
    <form
      ref={form}
      class="key-edit"
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.preventDefault();
          void leave();
        }
      }}
      onSubmit={(event) => {
        event.preventDefault();
        if (value !== undefined && bytes <= MAX_KEY_BYTES) {
          void making.run(value, ttlOf(event.currentTarget));
        }
      }}
    >
      <h2>New key</h2>
      <label class="field">
        Key
        <input
          ref={field}
          class="mono"
          value={key}
          required
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
      </label>
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
      <ProblemNote problem={making.problem} />
      <div class="buttons">
        <button type="button" onClick={() => void leave()}>
          Cancel
        </button>
        <button type="submit" class="main" disabled={making.isRunning || value === undefined}>
          {making.isRunning ? "Saving …" : "Save"}
        </button>
      </div>
    </form>
  );
}
