import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/**
 * A window over the page. The browser keeps the focus in it, and Escape closes it. Then the focus
 * is where it was before.
 */
export function Dialog({
  title,
  onClose,
  children,
}: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      // Who was quick may be somewhere else by now.
      const isNowhere = document.activeElement === null || document.activeElement === document.body;
      if (isNowhere && before instanceof HTMLElement) {
        before.focus({ preventScroll: true });
      }
    };
  }, []);
  return (
    <dialog ref={dialog} aria-label={title} onClose={onClose}>
      <h2>{title}</h2>
      {children}
    </dialog>
  );
}

interface Question {
  readonly title: string;
  readonly text: string;
  /** What the button that goes on says, such as "Delete". */
  readonly yes: string;
  /** What must be typed before it goes on. Absent = nothing. */
  readonly typed?: string;
  readonly answer: (yes: boolean) => void;
}

const question = signal<Question | undefined>(undefined);

/** Asks a person. Resolves with false if the window is closed. One question at a time. */
export function ask(asked: Omit<Question, "answer">): Promise<boolean> {
  return new Promise((resolve) => {
    question.value?.answer(false);
    question.value = {
      ...asked,
      answer(yes) {
        question.value = undefined;
        resolve(yes);
      },
    };
  });
}

/** Where questions are asked. */
export function Questions() {
  const asked = question.value;
  if (asked === undefined) {
    return null;
  }
  const { title, text, yes, typed, answer } = asked;
  return (
    <Dialog title={title} onClose={() => answer(false)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === undefined || new FormData(event.currentTarget).get("typed") === typed) {
            answer(true);
          }
        }}
      >
        <p>{text}</p>
        {typed !== undefined && (
          <label class="field">
            Type <b>{typed}</b> to go on
            <input name="typed" autocomplete="off" required pattern={RegExp.escape(typed)} />
          </label>
        )}
        <div class="buttons">
          <button type="button" onClick={() => answer(false)}>
            Cancel
          </button>
          <button type="submit" class="danger">
            {yes}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
