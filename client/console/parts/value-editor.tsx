import { useId, useRef, useState } from "preact/hooks";
import {
  compactJson,
  type Draft,
  draftOf,
  type EditMode,
  editModesOf,
  flawOf,
  indentJson,
  typed,
  UNASKED_BYTES,
} from "../data/draft.ts";
import { formatBytes } from "../data/format.ts";
import { Choice } from "./choice.tsx";
import { ValueView } from "./value-view.tsx";
import "./value.css";

/** The largest value that a gateway can be configured to take. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** What the ways to edit a value are called. */
const MODE_NAMES: Readonly<Record<EditMode, string>> = {
  whole: "As it is",
  text: "Text",
  json: "JSON",
  hex: "Hex",
};

/** The same beside the ways to show a value as it is. */
const EDIT_NAMES: typeof MODE_NAMES = {
  whole: "As it is",
  text: "Edit as text",
  json: "Edit as JSON",
  hex: "Edit as hex",
};

/** What {@link ValueEditor} needs. */
export interface ValueEditorProps {
  /** Names the field. */
  readonly label: string;
  /** The value to begin with. To begin anew with another one, give the editor another `key`. */
  readonly value: Uint8Array<ArrayBuffer>;
  /** Called with each value that somebody makes; `undefined` = what was typed is none. */
  readonly onChange: (value: Uint8Array<ArrayBuffer> | undefined) => void;
}

/** Edits a value as text, JSON or hexadecimal digits, or replaces it by a file. */
export function ValueEditor({ label, value, onChange }: ValueEditorProps) {
  const [draft, setDraft] = useState<Draft>(() => draftOf(value));
  const [fileProblem, setFileProblem] = useState<string | undefined>(undefined);
  const [isDropping, setDropping] = useState(false);

  function change(next: Draft): void {
    setDraft(next);
    onChange(next.value);
  }
  async function replaceBy(file: File | undefined): Promise<void> {
    if (file === undefined) {
      return;
    }
    if (file.size > MAX_FILE_BYTES) {
      setFileProblem(`${file.name} has ${formatBytes(file.size)}: no value can be so large.`);
      return;
    }
    setFileProblem(undefined);
    try {
      change(draftOf(new Uint8Array(await file.arrayBuffer())));
    } catch {
      setFileProblem(`The browser cannot read ${file.name}. Choose it again.`);
    }
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a file can be chosen with the keyboard too
    <div
      class={isDropping ? "value dropping" : "value"}
      onDragOver={(event) => {
        event.preventDefault();
        setDropping(true);
      }}
      onDragLeave={() => setDropping(false)}
      onDrop={(event) => {
        event.preventDefault();
        setDropping(false);
        void replaceBy(event.dataTransfer?.files[0]);
      }}
    >
      <Bar draft={draft} onMode={setDraft} onFile={replaceBy} />
      {fileProblem !== undefined && (
        <p class="bad" role="alert">
          {fileProblem}
        </p>
      )}
      {draft.mode === "whole" && draft.value !== undefined ? (
        <Whole value={draft.value} />
      ) : (
        <TextDraft label={label} draft={draft} onChange={change} />
      )}
    </div>
  );
}

/** How the value is edited, and a file to take instead. */
function Bar({
  draft: { mode, value },
  onMode,
  onFile,
}: {
  readonly draft: Draft;
  readonly onMode: (draft: Draft) => void;
  readonly onFile: (file: File | undefined) => void;
}) {
  const modes: readonly EditMode[] = value === undefined ? [mode] : editModesOf(value);
  const names = modes[0] === "whole" ? EDIT_NAMES : MODE_NAMES;
  return (
    <div class="bar">
      <Choice
        label="Edit the value as"
        names={modes.map((way) => [way, names[way]] as const)}
        chosen={mode}
        onChoose={(way) => value !== undefined && onMode(draftOf(value, way))}
      />
      <label class="button">
        Take a file …
        <input
          type="file"
          class="file"
          onChange={({ currentTarget }) => {
            onFile(currentTarget.files?.[0]);
            // The same file can be chosen again after it was changed.
            currentTarget.value = "";
          }}
        />
      </label>
    </div>
  );
}

/** A picture, or a value that is too large for a text field unless somebody wants that. */
function Whole({ value }: { readonly value: Uint8Array<ArrayBuffer> }) {
  return (
    <>
      <ValueView bytes={value} />
      {value.length > UNASKED_BYTES && (
        <p class="quiet">
          {editModesOf(value).length > 1
            ? `It has ${formatBytes(value.length)}: to edit it here may be slow.`
            : "It is too large to be edited here: download it, edit it, and take the file."}
        </p>
      )}
    </>
  );
}

/** The text field, and what is wrong with what stands in it. */
function TextDraft({
  label,
  draft,
  onChange,
}: {
  readonly label: string;
  readonly draft: Draft;
  readonly onChange: (draft: Draft) => void;
}) {
  const field = useRef<HTMLTextAreaElement>(null);
  const notes = useId();
  const flaw = flawOf(draft);
  const place = flaw?.at;
  return (
    <>
      <textarea
        ref={field}
        aria-label={label}
        aria-describedby={notes}
        aria-invalid={flaw !== undefined}
        spellcheck={false}
        autocomplete="off"
        dir="auto"
        rows={12}
        value={draft.text}
        onInput={(event) => onChange(typed(draft, event.currentTarget.value))}
      />
      {draft.mode === "json" && flaw === undefined && (
        <div class="bar">
          <button type="button" onClick={() => onChange(typed(draft, indentJson(draft.text)))}>
            Indent
          </button>
          <button type="button" onClick={() => onChange(typed(draft, compactJson(draft.text)))}>
            Compact
          </button>
        </div>
      )}
      <div id={notes} role="status">
        {flaw !== undefined && (
          <p class="bad">
            {flaw.message}. {draft.mode === "json" && "It can be saved all the same. "}
            {place !== undefined && (
              <button
                type="button"
                onClick={() => {
                  field.current?.focus();
                  field.current?.setSelectionRange(place, place + 1);
                }}
              >
                Go there
              </button>
            )}
          </p>
        )}
        {draft.lineEnd === "mixed" && (
          <p class="warn">
            Its lines end in different ways. Once it is changed as text, all end with a newline; as hex they
            stay.
          </p>
        )}
      </div>
    </>
  );
}
