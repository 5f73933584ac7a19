import { useLayoutEffect } from "preact/hooks";
import { ask } from "../parts/dialog.tsx";
import { guardEdits } from "../route.ts";

/** Asks before the page is left, as long as something that was typed is not saved. */
export function useUnsaved(isUnsaved: boolean): void {
  // Before the next event: what was saved asks nothing when the view is left at once.
  useLayoutEffect(() => (isUnsaved ? guardEdits(mayLose) : undefined), [isUnsaved]);
}

function mayLose(): Promise<boolean> {
  return ask({
    title: "Leave without saving?",
    text: "What you typed is not saved yet.",
    yes: "Leave without saving",
  });
}
