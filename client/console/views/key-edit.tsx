import { useState } from "preact/hooks";
import { isSame, type Outcome, type SeenEntry, saveEntry, ttlToKeep } from "../data/key-write.ts";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { tell } from "../parts/toasts.tsx";
import { ValueEditor } from "../parts/value-editor.tsx";
import { EditForm } from "./edit-form.tsx";
import { Conflict } from "./key-conflict.tsx";

type Bytes = Uint8Array<ArrayBuffer>;

/** What another wrote, and which value of who looks it is in conflict with. */
interface Clash<T> {
  readonly theirs: T | undefined;
  readonly mine: Bytes;
}

/**
 * Edits the value of an entry. It is saved if the entry is still `base`; otherwise both values are
 * shown. The time at which the entry expires stays.
 */
export function KeyEdit({
  namespace,
  name,
  base,
  onDone,
}: {
  readonly namespace: string;
  readonly name: string;
  readonly base: SeenEntry;
  /** Called with what is there at the end of the edit; `undefined` = nothing. */
  readonly onDone: (entry: SeenEntry | undefined) => void;
}) {
  return (
    <ValueEdit
      what="key"
      label={`Value of ${name}`}
      base={base}
      save={(over, mine) => {
        const { keyvalue } = gateway.data.namespace(namespace);
        const ttlSeconds = ttlToKeep(over ?? base, performance.now());
        return saveEntry(keyvalue, name, over, mine, ttlSeconds);
      }}
      onDone={onDone}
    />
  );
}

/** What {@link ValueEdit} needs. */
export interface ValueEditProps<T> {
  readonly what: "key" | "item";
  /** Names the field. */
  readonly label: string;
  /** What is edited. */
  readonly base: T;
  /** Writes a value if what is there is still `over`; `undefined` = nothing. */
  readonly save: (over: T | undefined, mine: Bytes) => Promise<Outcome<T>>;
  /** Called with what is there at the end of the edit; `undefined` = nothing. */
  readonly onDone: (now: T | undefined) => void;
}

/** Edits a value. If somebody else changed it meanwhile, both values are shown. */
export function ValueEdit<T extends { readonly value: Bytes }>({
  what,
  label,
  base,
  save: write,
  onDone,
}: ValueEditProps<T>) {
  const [value, setValue] = useState<Bytes | undefined>(base.value);
  const [clash, setClash] = useState<Clash<T> | undefined>(undefined);
  const isChanged = value === undefined || !isSame(value, base.value);
  const saving = useAction(async (over: T | undefined, mine: Bytes) => {
    const outcome = await write(over, mine);
    if (outcome.kind === "conflict") {
      setClash({ theirs: outcome.theirs, mine });
      return;
    }
    setValue(base.value);
    tell("Saved");
    onDone(outcome.entry);
  });
  return (
    <EditForm
      does="Save the value"
      isChanged={isChanged}
      isReady={isChanged && value !== undefined}
      saving={saving}
      onSave={() => value !== undefined && void saving.run(base, value)}
      onLeave={() => {
        setValue(base.value);
        onDone(clash === undefined ? base : clash.theirs);
      }}
    >
      {clash !== undefined && (
        <Conflict
          what={what}
          theirs={clash.theirs}
          mine={value ?? clash.mine}
          isRunning={saving.isRunning}
          onKeep={() => {
            setValue(base.value);
            onDone(clash.theirs);
          }}
          onOverwrite={() => void saving.run(clash.theirs, value ?? clash.mine)}
        />
      )}
      <ValueEditor label={label} value={base.value} onChange={setValue} />
    </EditForm>
  );
}
