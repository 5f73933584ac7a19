import { useEffect, useState } from "preact/hooks";
import type { ListApi } from "../../web.ts";
import { formatBytes, formatCount } from "../data/format.ts";
import { isSame } from "../data/key-write.ts";
import { snippetsOf } from "../data/snippets.ts";
import { gateway } from "../gateway.ts";
import { useAction, useLoad } from "../load.ts";
import { CopyAs } from "../parts/copy.tsx";
import { ask } from "../parts/dialog.tsx";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import { tell } from "../parts/toasts.tsx";
import { ValueEditor } from "../parts/value-editor.tsx";
import { download, ValueView } from "../parts/value-view.tsx";
import { targetOf } from "../target.ts";
import { EditForm } from "./edit-form.tsx";

type Bytes = Uint8Array<ArrayBuffer>;

/** What is done with the value. Inserting needs a value to begin with: an empty one. */
type Doing = "edit" | "before" | "after";

const TITLES: Readonly<Record<Doing, string>> = {
  edit: "Edit the value",
  before: "Insert a value before it",
  after: "Insert a value behind it",
};

const EMPTY = new Uint8Array(0);

interface ListValueProps {
  readonly namespace: string;
  readonly name: string;
  readonly index: number;
  readonly mayWrite: boolean;
  /** Grows when the list was read again; then the value is too. */
  readonly readings: number;
  /** Called when the list is to be read again. */
  readonly onChanged: () => void;
  readonly onClose: () => void;
}

/** The value in a place of a list. */
export function ListValue(props: ListValueProps) {
  const { namespace, name, index, mayWrite, readings, onChanged, onClose } = props;
  const { list } = gateway.data.namespace(namespace);
  /** The value that is edited is the one that was seen: what is read meanwhile is a conflict. */
  const [edited, setEdited] = useState<{ readonly doing: Doing; readonly base: Bytes } | undefined>();
  const loaded = useLoad(
    async (signal) => ({ value: await valueAt(list, name, index, signal) }),
    [namespace, name, index],
  );
  const value = loaded.value?.value;
  useEffect(() => (readings > 0 ? loaded.reload() : undefined), [readings]);
  const removing = useAction(async (removed: Bytes) => {
    const count = await list.remove(name, removed, { count: 1 });
    tell(count === 0 ? "It was gone already" : "Removed");
    onClose();
    onChanged();
  });
  if (edited !== undefined) {
    return (
      <ValueForm
        {...props}
        {...edited}
        onClose={() => setEdited(undefined)}
        onChanged={() => {
          setEdited(undefined);
          loaded.reload();
          onChanged();
        }}
      />
    );
  }
  return (
    <section class="list-value" aria-label={`Value ${index}`}>
      <h3>Place {formatCount(index)}</h3>
      <ProblemNote problem={loaded.problem} onRetry={loaded.reload} />
      {loaded.value === undefined && loaded.problem === undefined && <Waiting what="the value" />}
      {loaded.value !== undefined && value === undefined && (
        <p class="note" role="status">
          The list has no such place any more.
        </p>
      )}
      {value !== undefined && (
        <>
          <p class="quiet">{formatBytes(value.length)}</p>
          <ValueView bytes={value} />
          <ProblemNote problem={removing.problem} />
          <div class="buttons">
            <button type="button" onClick={() => download(value, `${name}-${index}`)}>
              Download
            </button>
            {mayWrite && (
              <Buttons
                isBusy={removing.isRunning || loaded.isLoading}
                onDoing={(doing) => setEdited({ doing, base: value })}
                onRemove={async () => (await ask(REMOVE)) && void removing.run(value)}
              />
            )}
          </div>
          <CopyAs
            snippets={snippetsOf(
              { kind: "list", list: name, start: index, stop: index },
              targetOf(namespace),
            )}
          />
        </>
      )}
    </section>
  );
}

const REMOVE = {
  title: "Remove the value?",
  text: "If several values of the list equal it, the first of them is removed.",
  yes: "Remove",
};

function Buttons({
  isBusy,
  onDoing,
  onRemove,
}: {
  readonly isBusy: boolean;
  readonly onDoing: (doing: Doing) => void;
  readonly onRemove: () => void;
}) {
  return (
    <>
      <button type="button" class="danger" disabled={isBusy} onClick={onRemove}>
        Remove …
      </button>
      <button type="button" disabled={isBusy} onClick={() => onDoing("before")}>
        Insert before
      </button>
      <button type="button" disabled={isBusy} onClick={() => onDoing("after")}>
        Insert behind
      </button>
      <button type="button" class="main" disabled={isBusy} onClick={() => onDoing("edit")}>
        Edit
      </button>
    </>
  );
}

/** Edits the value, or inserts one beside it, if the place still has the value that is shown. */
function ValueForm({
  namespace,
  name,
  index,
  doing,
  base,
  onChanged,
  onClose,
}: ListValueProps & { readonly doing: Doing; readonly base: Bytes }) {
  const { list } = gateway.data.namespace(namespace);
  const start = doing === "edit" ? base : EMPTY;
  const [value, setValue] = useState<Bytes | undefined>(start);
  /** What the place has instead. */
  const [theirs, setTheirs] = useState<{ readonly value: Bytes | undefined } | undefined>(undefined);
  const [isDone, setDone] = useState(false);
  const isChanged = !isDone && (value === undefined || !isSame(value, start));
  const saving = useAction(async (mine: Bytes, expected: Bytes) => {
    // No call on lists compares and writes at one moment: a change in between stays unseen.
    const now = await valueAt(list, name, index);
    const isWritten =
      now !== undefined && isSame(now, expected) && (await write(list, name, index, doing, expected, mine));
    if (!isWritten) {
      setTheirs({ value: now });
      return;
    }
    setDone(true);
    tell("Saved");
    onChanged();
  });
  return (
    <EditForm
      class="list-value"
      does="Save the value"
      isChanged={isChanged}
      isReady={value !== undefined}
      saving={saving}
      onSave={() => value !== undefined && void saving.run(value, theirs?.value ?? base)}
      onLeave={onClose}
    >
      <h3>
        {TITLES[doing]} (place {formatCount(index)})
      </h3>
      {doing !== "edit" && (
        <p class="quiet">
          If several values of the list equal this place's, it goes beside the first of them.
        </p>
      )}
      <ValueEditor label="Value" value={start} onChange={setValue} />
      {theirs !== undefined && (
        <div class="note conflict" role="alert">
          <p>
            <b>The list has changed meanwhile.</b> Nothing was saved yet.{" "}
            {theirs.value === undefined
              ? "It has no such place any more: cancel, and add yours anew."
              : "This place has the value below now; save again to go on all the same."}
          </p>
          {theirs.value !== undefined && <ValueView bytes={theirs.value} />}
        </div>
      )}
    </EditForm>
  );
}

/** Answers whether it is written: the value to insert beside may be gone. */
async function write(
  list: ListApi,
  name: string,
  index: number,
  doing: Doing,
  pivot: Bytes,
  value: Bytes,
): Promise<boolean> {
  switch (doing) {
    case "edit":
      await list.set(name, index, value);
      return true;
    case "before":
      return (await list.insertBefore(name, pivot, value)).inserted;
    case "after":
      return (await list.insertAfter(name, pivot, value)).inserted;
  }
}

/** The value in a place; `undefined` = there is none. Every store that has ranges can tell it. */
async function valueAt(
  list: Pick<ListApi, "range">,
  name: string,
  index: number,
  signal?: AbortSignal,
): Promise<Bytes | undefined> {
  for await (const value of list.range(name, index, index, { signal })) {
    return value;
  }
  return undefined;
}
