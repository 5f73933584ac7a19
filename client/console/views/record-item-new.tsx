import { useState } from "preact/hooks";
import { bytesOf, fromHex, MAX_KEY_BYTES } from "../data/bytes.ts";
import { saveItem } from "../data/record-items.ts";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { Choice } from "../parts/choice.tsx";
import { TextField } from "../parts/text-field.tsx";
import { tell } from "../parts/toasts.tsx";
import { ValueEditor } from "../parts/value-editor.tsx";
import { EditForm } from "./edit-form.tsx";

type Bytes = Uint8Array<ArrayBuffer>;

const EMPTY = new Uint8Array(0);

const KEY_WAYS = [
  ["text", "Text"],
  ["hex", "Hex"],
] as const;
type KeyWay = (typeof KEY_WAYS)[number][0];

/** Makes an item where there is none. A record is made by its first item. */
export function ItemNew({
  namespace,
  id: knownId,
  onMade,
  onClose,
}: {
  readonly namespace: string;
  /** `undefined` = the id is asked for too. */
  readonly id: string | undefined;
  readonly onMade: (id: string, key: Bytes) => void;
  readonly onClose: () => void;
}) {
  const [typedId, setId] = useState("");
  const [key, setKey] = useState("");
  const [way, setWay] = useState<KeyWay>("text");
  const [value, setValue] = useState<Bytes | undefined>(EMPTY);
  const [taken, setTaken] = useState<string | undefined>(undefined);
  const [isMade, setMade] = useState(false);
  const isChanged = !isMade && (typedId !== "" || key !== "" || value !== EMPTY);
  const id = knownId ?? typedId;
  const keyBytes = way === "text" ? bytesOf(key) : fromHex(key);
  const flaw = flawOf(id, keyBytes);
  const making = useAction(async (itemKey: Bytes, mine: Bytes) => {
    const { records } = gateway.data.namespace(namespace);
    const outcome = await saveItem(records, id, itemKey, undefined, mine);
    if (outcome.kind === "conflict") {
      setTaken(`${id}/${key}`);
      return;
    }
    setMade(true);
    tell("Saved");
    onMade(id, itemKey);
  });
  return (
    <EditForm
      does="Save the new item"
      isChanged={isChanged}
      isReady={value !== undefined && flaw === undefined}
      saving={making}
      onSave={() => value !== undefined && keyBytes !== undefined && void making.run(keyBytes, value)}
      onLeave={onClose}
    >
      {knownId === undefined ? <h2>New record</h2> : <h3>New item</h3>}
      {knownId === undefined && <TextField label="Id" value={typedId} onInput={setId} />}
      <TextField
        label={knownId === undefined ? "Key of its first item" : "Key"}
        value={key}
        onInput={setKey}
      />
      <Choice label="The key is typed as" names={KEY_WAYS} chosen={way} onChoose={setWay} />
      {flaw !== undefined && key !== "" && (
        <p class="bad" role="status">
          {flaw}
        </p>
      )}
      <p class="label">Value</p>
      <ValueEditor label="Value" value={EMPTY} onChange={setValue} />
      {taken === `${id}/${key}` && (
        <p class="note problem" role="alert">
          There is an item with this key already; it was not changed. Choose another key.
        </p>
      )}
    </EditForm>
  );
}

/** What is wrong with an id or a key; an empty one is not: its field says so itself. */
function flawOf(id: string, key: Bytes | undefined): string | undefined {
  if (key === undefined) {
    return "The key is no hexadecimal digits, two for each byte.";
  }
  const isTooLong = bytesOf(id).length > MAX_KEY_BYTES || key.length > MAX_KEY_BYTES;
  return isTooLong ? `An id and a key have at most ${MAX_KEY_BYTES} bytes.` : undefined;
}
