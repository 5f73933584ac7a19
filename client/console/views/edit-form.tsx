import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Action } from "../load.ts";
import { ask } from "../parts/dialog.tsx";
import { ProblemNote } from "../parts/notes.tsx";
import { useShortcuts } from "../shortcuts.ts";
import { useUnsaved } from "./unsaved.ts";

/** What {@link EditForm} needs. */
export interface EditFormProps {
  /** What a save does, for the help of the keyboard, such as "Save the new key". */
  readonly does: string;
  /** Whether something was typed that is not saved. */
  readonly isChanged: boolean;
  /** Whether it can be saved as it is. */
  readonly isReady: boolean;
  readonly saving: Pick<Action<readonly never[]>, "isRunning" | "problem">;
  /** What the button says, and while it is saved. Absent = "Save". */
  readonly words?: readonly [act: string, acting: string];
  readonly class?: string;
  readonly onSave: (form: HTMLFormElement) => void;
  /** Called when it is left, and what was typed may be lost. */
  readonly onLeave: () => void;
  readonly children: ComponentChildren;
}

const DISCARD = {
  title: "Discard what you typed?",
  text: "It is not saved yet.",
  yes: "Discard",
};

/**
 * A form with something to save. Its first field has the focus; Ctrl S saves, Escape leaves. Before
 * what was typed is lost it asks.
 */
export function EditForm(props: EditFormProps) {
  const { does, isChanged, isReady, saving, words = ["Save", "Saving …"], onSave, onLeave } = props;
  const form = useRef<HTMLFormElement>(null);
  useUnsaved(isChanged);
  useEffect(() => {
    const field = form.current?.querySelector<HTMLElement>("input:not([type]), textarea");
    field?.focus({ preventScroll: true });
  }, []);
  useShortcuts([{ key: "Mod+s", does, act: () => form.current?.requestSubmit() }]);
  const leave = async () => (!isChanged || (await ask(DISCARD))) && onLeave();
  return (
    <form
      ref={form}
      class={`key-edit ${props.class ?? ""}`}
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.preventDefault();
          void leave();
        }
      }}
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady) {
          onSave(event.currentTarget);
        }
      }}
    >
      {props.children}
      <ProblemNote problem={saving.problem} />
      <div class="buttons">
        <button type="button" onClick={leave}>
          Cancel
        </button>
        <button type="submit" class="main" disabled={!isReady || saving.isRunning}>
          {words[saving.isRunning ? 1 : 0]}
        </button>
      </div>
    </form>
  );
}
