import { signal } from "@preact/signals";

/** What was done, said for a while. */
interface Toast {
  readonly id: number;
  readonly text: string;
  /** Takes it back. Absent = that cannot be done. */
  readonly undo: (() => void) | undefined;
}

const SHOWN_MS = 8000;
const MOST = 3;

const toasts = signal<readonly Toast[]>([]);
let lastId = 0;

/** Says that something was done. `undo` can take it back while it is said. */
export function tell(text: string, undo?: () => void): void {
  const id = ++lastId;
  toasts.value = [...toasts.value, { id, text, undo }].slice(-MOST);
  setTimeout(() => dismiss(id), SHOWN_MS);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Where it is said. */
export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, undo }) => (
        <div key={id} class="toast">
          <span>{text}</span>
          {undo !== undefined && (
            <button
              type="button"
              onClick={() => {
                dismiss(id);
                undo();
              }}
            >
              Undo
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
