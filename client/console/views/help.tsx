import { useState } from "preact/hooks";
import { Dialog } from "../parts/dialog.tsx";
import { shortcuts, useShortcuts } from "../shortcuts.ts";

/** A button for the keys that work on the page. */
export function Help() {
  const [isOpen, setOpen] = useState(false);
  useShortcuts([{ key: "?", does: "Show these keys", act: () => setOpen(true) }]);
  return (
    <>
      <button type="button" class="quiet" aria-label="Keys of the keyboard" onClick={() => setOpen(true)}>
        ?
      </button>
      {isOpen && (
        <Dialog title="Keys" onClose={() => setOpen(false)}>
          <dl class="keys">
            {shortcuts.value.map(({ key, does }) => (
              <div key={key + does}>
                <dt>
                  <kbd>{key.replace("Mod+", "Ctrl ")}</kbd>
                </dt>
                <dd>{does}</dd>
              </div>
            ))}
          </dl>
          <div class="buttons">
            <button type="button" onClick={() => setOpen(false)}>
              Close
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
