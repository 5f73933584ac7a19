import { useEffect, useRef, useState } from "preact/hooks";
import { isSame, type SeenEntry, saveEntry, ttlToKeep } from "../data/key-write.ts";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { ask } from "../parts/dialog.tsx";
import { ProblemNote } from "../parts/notes.tsx";
import { tell } from "../parts/toasts.tsx";
import { ValueEditor } from "../parts/value-editor.tsx";
import { useShortcuts } from "../shortcuts.ts";
import { Conflict } from "./key-conflict.tsx";
import { useUnsaved } from "./unsaved.ts";

/** What another wrote, and which value of who looks it is in conflict with. */
interface Clash {
  readonly theirs: SeenEntry | undefined;
  readonly mine: Uint8Array<ArrayBuffer>;
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
  const [value, setValue] = useState<Uint8Array<ArrayBuffer> | undefined>(base.value);
  const [clash, setClash] = useState<Clash | undefined>(undefined);
  const isChanged = value === undefined || !isSame(value, base.value);
  useUnsaved(isChanged);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector("textarea")?.focus({ preventScroll: true }), []);
  const saving = useAction(async (over: SeenEntry | undefined, mine: Uint8Array<ArrayBuffer>) => {
    const { keyvalue } = gateway.data.namespace(namespace);
    const ttlSeconds = ttlToKeep(over ?? base, performance.now());
    const outcome = await saveEntry(keyvalue, name, over, mine, ttlSeconds);
    if (outcome.kind === "conflict") {
      setClash({ theirs: outcome.theirs, mine });
      return;
    }
    setValue(base.value);
    tell("Saved");
    onDone(outcome.entry);
  });
  function save(): void {
    if (value !== undefined && isChanged) {
      void saving.run(base, value);
    }
  }
  async function leave(): Promise<void> {
    if (!isChanged || (await ask(DISCARD))) {
      setValue(base.value);
      onDone(clash === undefined ? base : clash.theirs);
    }
  }
  useShortcuts([{ key: "Mod+s", does: "Save the value", act: save }]);
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
        save();
      }}
    >
      {clash !== undefined && (
        <Conflict
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
      <ValueEditor label={`Value of ${name}`} value={base.value} onChange={setValue} />
      <ProblemNote problem={saving.problem} />
      <div class="buttons">
        <button type="button" onClick={() => void leave()}>
          Cancel
        </button>
        <button type="submit" class="main" disabled={!isChanged || value === undefined || saving.isRunning}>
          {saving.isRunning ? "Saving …" : "Save"}
        </button>
      </div>
    </form>
  );
}

const DISCARD = {
  title: "Discard what you typed?",
  text: "It is not saved yet.",
  yes: "Discard",
};
