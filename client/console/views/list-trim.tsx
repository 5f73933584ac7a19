import { useState } from "preact/hooks";
import { formatCount } from "../data/format.ts";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { ask } from "../parts/dialog.tsx";
import { ProblemNote } from "../parts/notes.tsx";
import { tell } from "../parts/toasts.tsx";

/** Keeps a part of a list, and removes the other values once that is confirmed. */
export function ListTrim({
  namespace,
  name,
  length,
  onDone,
  onClose,
}: {
  readonly namespace: string;
  readonly name: string;
  readonly length: number;
  readonly onDone: () => void;
  readonly onClose: () => void;
}) {
  const [first, setFirst] = useState(0);
  const [last, setLast] = useState(length - 1);
  const trimming = useAction(async () => {
    const left = await gateway.data.namespace(namespace).list.trim(name, first, last);
    tell(`The list has ${left === 1 ? "1 value" : `${formatCount(left)} values`} now`);
    onDone();
  });
  const lost = length - Math.max(0, Math.min(last, length - 1) - first + 1);
  async function trim(): Promise<void> {
    const text = `The values in the places ${formatCount(first)} to ${formatCount(last)} stay. ${lost === 1 ? "1 value is" : `${formatCount(lost)} values are`} lost.`;
    if (await ask({ title: "Trim the list?", text, yes: "Trim" })) {
      void trimming.run();
    }
  }
  const place = (label: string, value: number, onValue: (value: number) => void) => (
    <label class="field">
      {label}
      <input
        type="number"
        min={0}
        max={Math.max(0, length - 1)}
        required
        value={value}
        onInput={(event) => onValue(event.currentTarget.valueAsNumber)}
      />
    </label>
  );
  return (
    <form
      class="key-edit trim"
      onSubmit={(event) => {
        event.preventDefault();
        void trim();
      }}
    >
      <h3>Keep a part of the list</h3>
      {place("From place", first, setFirst)}
      {place("To place, which stays too", last, setLast)}
      <ProblemNote problem={trimming.problem} />
      <div class="buttons">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" class="danger" disabled={trimming.isRunning || last < first}>
          Trim …
        </button>
      </div>
    </form>
  );
}
