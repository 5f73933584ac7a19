import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** One key of the keyboard and what it does on the page that is shown. */
export interface Shortcut {
  /** As `KeyboardEvent.key`, such as "/"; with "Mod+" in front: together with Ctrl or ⌘. */
  readonly key: string;
  readonly does: string;
  readonly act: () => void;
}

/** Those that work now, for the page's help. */
export const shortcuts = signal<readonly Shortcut[]>([]);

/** Lets shortcuts work while the component is shown. Plain keys do nothing while somebody types. */
export function useShortcuts(own: readonly Shortcut[]): void {
  useEffect(() => {
    shortcuts.value = [...shortcuts.peek(), ...own];
    return () => {
      shortcuts.value = shortcuts.peek().filter((shortcut) => !own.includes(shortcut));
    };
  });
}

/** Listens to the keyboard from now on. The last one of a key wins. */
export function listenToKeys(): void {
  addEventListener("keydown", (event) => {
    const types = event.target instanceof Element && event.target.closest("input, textarea, select") !== null;
    const withModifier = event.ctrlKey || event.metaKey;
    if (event.defaultPrevented || event.altKey || (types && !withModifier)) {
      return;
    }
    const key = withModifier ? `Mod+${event.key}` : event.key;
    const found = shortcuts.peek().findLast((shortcut) => shortcut.key === key);
    if (found !== undefined) {
      event.preventDefault();
      found.act();
    }
  });
}
