import { useEffect, useRef, useState } from "preact/hooks";
import { mayUseNamespace } from "../caller.ts";
import { visible } from "../data/bytes.ts";
import { formatBytes, formatCount } from "../data/format.ts";
import { deleteEntry, readEntry, type SeenEntry, saveEntry, ttlToKeep } from "../data/key-write.ts";
import { snippetsOf } from "../data/snippets.ts";
import { gateway } from "../gateway.ts";
import { useAction, useLoad } from "../load.ts";
import { CopyAs, copy } from "../parts/copy.tsx";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import { tell } from "../parts/toasts.tsx";
import { ValueView } from "../parts/value-view.tsx";
import { useShortcuts } from "../shortcuts.ts";
import { targetOf } from "../target.ts";
import { KeyEdit } from "./key-edit.tsx";
import { ChangeExpiry, expiryOf, useLeftMs } from "./key-expiry.tsx";
import { KeyNew } from "./key-new.tsx";
import { putBack } from "./put-back.ts";
import { ValuePane } from "./value-pane.tsx";

/** What the view of a key needs. */
export interface KeyViewProps {
  readonly namespace: string;
  readonly name: string;
  /** Called after a key was made (1) or deleted (-1). */
  readonly onCount: (key: string, by: 1 | -1) => void;
  readonly onClose: () => void;
}

/** A key: its value, when it expires, and what can be done with it. */
export function KeyView({ namespace, name, onCount, onClose }: KeyViewProps) {
  const { keyvalue } = gateway.data.namespace(namespace);
  const loaded = useLoad(
    async (signal) => ({ entry: await readEntry(keyvalue, name, signal) }),
    [namespace, name],
  );
  /** What who looks wrote since it was read. */
  const [written, setWritten] = useState<{ readonly entry: SeenEntry | undefined } | undefined>(undefined);
  useEffect(() => setWritten(undefined), [loaded.value]);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  const known = written ?? loaded.value;
  return (
    <>
      <div class="key-head">
        <button type="button" class="back" onClick={onClose}>
          ← Keys
        </button>
        <h2 ref={heading} class="mono" tabIndex={-1}>
          {visible(name)}
        </h2>
        <button type="button" onClick={() => copy(name, "The key is copied")}>
          Copy key
        </button>
      </div>
      <ProblemNote problem={loaded.problem} onRetry={loaded.reload} />
      {known === undefined ? (
        loaded.isLoading && <Waiting what="the value" />
      ) : (
        <Known
          namespace={namespace}
          name={name}
          entry={known.entry}
          onEntry={(entry) => {
            setWritten({ entry });
            heading.current?.focus({ preventScroll: true });
          }}
          onReload={loaded.reload}
          onCount={onCount}
          onClose={onClose}
        />
      )}
    </>
  );
}

interface KnownProps extends KeyViewProps {
  readonly entry: SeenEntry | undefined;
  readonly onEntry: (entry: SeenEntry | undefined) => void;
  readonly onReload: () => void;
}

/** What is there, or that nothing is. An edit goes on whatever is read meanwhile. */
function Known(props: KnownProps) {
  const { namespace, name, entry, onEntry, onCount, onClose } = props;
  const [edited, setEdited] = useState<SeenEntry | undefined>(undefined);
  const [isSetAgain, setAgain] = useState(false);
  const left = useLeftMs(entry);
  const mayWrite = mayUseNamespace(namespace, "write");
  if (edited !== undefined) {
    return (
      <KeyEdit
        namespace={namespace}
        name={name}
        base={edited}
        onDone={(now) => {
          setEdited(undefined);
          onEntry(now);
        }}
      />
    );
  }
  if (isSetAgain) {
    return (
      <KeyNew
        namespace={namespace}
        start={name}
        value={entry?.value}
        onClose={() => setAgain(false)}
        onMade={(key) => {
          setAgain(false);
          onCount(key, 1);
          props.onReload();
        }}
      />
    );
  }
  if (entry === undefined || left === 0) {
    return (
      <>
        <div class="note" role="status">
          <p>
            {entry === undefined
              ? "There is no such key. It was deleted, has expired, or never was."
              : "This key has expired."}
          </p>
          {mayWrite && (
            <button type="button" onClick={() => setAgain(true)}>
              {entry === undefined ? "Make it" : "Set it again"}
            </button>
          )}
        </div>
        {entry !== undefined && <ValueView bytes={entry.value} />}
      </>
    );
  }
  return (
    <Shown
      {...{ namespace, name, entry, left, mayWrite, onEntry, onCount, onClose }}
      onEdit={() => setEdited(entry)}
    />
  );
}

interface ShownProps extends Omit<KnownProps, "entry" | "onReload"> {
  readonly entry: SeenEntry;
  readonly left: number | undefined;
  readonly mayWrite: boolean;
  readonly onEdit: () => void;
}

function Shown({ namespace, name, entry, left, mayWrite, onEntry, onCount, onClose, onEdit }: ShownProps) {
  const { keyvalue } = gateway.data.namespace(namespace);
  const [changesExpiry, setChangesExpiry] = useState(false);
  const [wasChanged, setChanged] = useState(false);
  const deleting = useAction(async () => {
    const outcome = await deleteEntry(keyvalue, name, entry);
    if (outcome.kind === "conflict") {
      setChanged(true);
      onEntry(outcome.theirs);
      return;
    }
    onCount(name, -1);
    const shown = visible(name).slice(0, 40);
    const write = () =>
      saveEntry(keyvalue, name, undefined, entry.value, ttlToKeep(entry, performance.now()));
    tell(`Deleted ${shown}`, () => void putBack(shown, write, () => onCount(name, 1)));
    onClose();
  });
  const remove = () => void deleting.run();
  useShortcuts(
    mayWrite
      ? [
          { key: "e", does: "Edit the value", act: onEdit },
          { key: "Delete", does: "Delete the key", act: remove },
          { key: "Escape", does: "Back to the list", act: onClose },
        ]
      : [{ key: "Escape", does: "Back to the list", act: onClose }],
  );
  return (
    <>
      <p class="key-facts quiet">
        <span>{formatBytes(entry.value.length)}</span>
        <span>version {formatCount(entry.version)}</span>
        <span class={left !== undefined && left < 10_000 ? "warn" : ""}>{expiryOf(left)}</span>
        {mayWrite && !changesExpiry && (
          <button type="button" onClick={() => setChangesExpiry(true)}>
            Change expiry
          </button>
        )}
      </p>
      {changesExpiry && (
        <ChangeExpiry
          left={left}
          onClose={() => setChangesExpiry(false)}
          change={async (ttlSeconds) => {
            await (ttlSeconds === undefined ? keyvalue.persist(name) : keyvalue.expire(name, ttlSeconds));
            onEntry(await readEntry(keyvalue, name));
          }}
        />
      )}
      <ValuePane bytes={entry.value} name={name} {...{ wasChanged, deleting, mayWrite, onEdit }} />
      <CopyAs snippets={snippetsOf({ kind: "key", key: name }, targetOf(namespace))} />
    </>
  );
}
