import { useEffect, useRef, useState } from "preact/hooks";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { ProblemNote } from "../parts/notes.tsx";
import { tell } from "../parts/toasts.tsx";
import { ValueEditor } from "../parts/value-editor.tsx";
import { mayLose, useUnsaved } from "./unsaved.ts";

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
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector<HTMLElement>("input:not([type]), textarea")?.focus(), []);
  const isChanged = !isDone && (typedName !== "" || value !== EMPTY);
  useUnsaved(isChanged);
  const key = name ?? typedName;
  const pushing = useAction(async (mine: Uint8Array<ArrayBuffer>) => {
    const { list } = gateway.data.namespace(namespace);
    const length = await (end === "left" ? list.pushLeft(key, mine) : list.pushRight(key, mine));
    setDone(true);
    tell(length === 1 ? "The list is made" : `Added: the list has ${length} values`);
    onDone(key);
  });
  return (
    <form
      ref={form}
      class="key-edit"
      onSubmit={(event) => {
        event.preventDefault();
        if (value !== undefined) {
          void pushing.run(value);
        }
      }}
    >
      <h2>{name === undefined ? "New list" : "Add a value"}</h2>
      {name === undefined && (
        <label class="field">
          Name
          <input
            class="mono"
            value={typedName}
            required
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
      )}
      <p class="label">{name === undefined ? "First value" : "Value"}</p>
      <ValueEditor label="Value" value={EMPTY} onChange={setValue} />
      {name !== undefined && <Ends end={end} onEnd={setEnd} />}
      <ProblemNote problem={pushing.problem} />
      <div class="buttons">
        <button type="button" onClick={async () => (!isChanged || (await mayLose())) && onClose()}>
          Cancel
        </button>
        <button type="submit" class="main" disabled={pushing.isRunning || value === undefined}>
          {pushing.isRunning ? "Adding …" : "Add"}
        </button>
      </div>
    </form>
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
