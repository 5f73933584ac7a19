import { useState } from "preact/hooks";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { TextField } from "../parts/text-field.tsx";
import { tell } from "../parts/toasts.tsx";
import { ValueEditor } from "../parts/value-editor.tsx";
import { EditForm } from "./edit-form.tsx";

const EMPTY = new Uint8Array(0);

/** Adds a value at an end of a list. A list is made by its first value. */
export function ListPush({
  namespace,
  name,
  onDone,
  onClose,
}: {
  readonly namespace: string;
  /** `undefined` = the name is asked for too. */
  readonly name: string | undefined;
  readonly onDone: (name: string) => void;
  readonly onClose: () => void;
}) {
  const [typedName, setName] = useState("");
  const [value, setValue] = useState<Uint8Array<ArrayBuffer> | undefined>(EMPTY);
  const [end, setEnd] = useState<"left" | "right">("right");
  const [isDone, setDone] = useState(false);
  const isChanged = !isDone && (typedName !== "" || value !== EMPTY);
  const key = name ?? typedName;
  const pushing = useAction(async (mine: Uint8Array<ArrayBuffer>) => {
    const { list } = gateway.data.namespace(namespace);
    const length = await (end === "left" ? list.pushLeft(key, mine) : list.pushRight(key, mine));
    setDone(true);
    tell(length === 1 ? "The list is made" : `Added: the list has ${length} values`);
    onDone(key);
  });
  return (
    <EditForm
      does="Add the value"
      isChanged={isChanged}
      isReady={value !== undefined}
      saving={pushing}
      words={["Add", "Adding …"]}
      onSave={() => value !== undefined && void pushing.run(value)}
      onLeave={onClose}
    >
      <h2>{name === undefined ? "New list" : "Add a value"}</h2>
      {name === undefined && <TextField label="Name" value={typedName} onInput={setName} />}
      <p class="label">{name === undefined ? "First value" : "Value"}</p>
      <ValueEditor label="Value" value={EMPTY} onChange={setValue} />
      {name !== undefined && <Ends end={end} onEnd={setEnd} />}
    </EditForm>
  );
}

function Ends({
  end,
  onEnd,
}: {
  readonly end: "left" | "right";
  readonly onEnd: (end: "left" | "right") => void;
}) {
  return (
    <fieldset class="choices" aria-label="Where">
      {(["left", "right"] as const).map((side) => (
        <label key={side}>
          <input type="radio" name="end" checked={end === side} onChange={() => onEnd(side)} />{" "}
          {side === "left" ? "At the head" : "At the tail"}
        </label>
      ))}
    </fieldset>
  );
}
