import { useEffect, useRef, useState } from "preact/hooks";
import type { RecordItem } from "../../web.ts";
import { formatBytes, formatDuration, formatTime } from "../data/format.ts";
import {
  deleteItem,
  expiryOfItem,
  type ItemValue,
  keyText,
  preparationOf,
  putItemBack,
  readItem,
  saveItem,
} from "../data/record-items.ts";
import { snippetsOf } from "../data/snippets.ts";
import { gateway } from "../gateway.ts";
import { useAction, useLoad } from "../load.ts";
import { CopyAs } from "../parts/copy.tsx";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import { tell } from "../parts/toasts.tsx";
import { useShortcuts } from "../shortcuts.ts";
import { targetOf } from "../target.ts";
import { ValueEdit } from "./key-edit.tsx";
import { putBack } from "./put-back.ts";
import { ValuePane } from "./value-pane.tsx";

interface ItemViewProps {
  readonly namespace: string;
  readonly id: string;
  readonly itemKey: Uint8Array<ArrayBuffer>;
  readonly mayWrite: boolean;
  /** Called with what the item is now; `undefined` = it is gone. */
  readonly onChanged: (item: RecordItem | undefined) => void;
  readonly onClose: () => void;
}

/** An item of a record: its value, and what can be done with it. */
export function ItemView(props: ItemViewProps) {
  const { namespace, id, itemKey, onChanged } = props;
  const { records } = gateway.data.namespace(namespace);
  const loaded = useLoad(
    async (signal) => ({ item: await readItem(records, id, itemKey, signal) }),
    [namespace, id, itemKey.join()],
  );
  /** What is there since it was read, as far as it is known. */
  const [known, setKnown] = useState<{ readonly item: RecordItem | undefined } | undefined>(undefined);
  const [edited, setEdited] = useState<RecordItem | undefined>(undefined);
  useEffect(() => setKnown(undefined), [loaded.value]);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const shown = known ?? loaded.value;
  const name = keyText(itemKey);
  const took = (item: RecordItem | undefined) => {
    setKnown({ item });
    onChanged(item);
  };
  return (
    <section class="list-value" aria-label={`Item ${name}`}>
      <h3 ref={heading} class="mono" tabIndex={-1}>
        {name}
      </h3>
      <ProblemNote problem={loaded.problem} onRetry={loaded.reload} />
      {shown === undefined && loaded.isLoading && <Waiting what="the item" />}
      {edited !== undefined && (
        <Edit
          {...{ namespace, id, name }}
          base={edited}
          onDone={(now) => {
            setEdited(undefined);
            took(now && { ...edited, ...now });
            // What the store keeps with it, such as its times.
            loaded.reload();
            heading.current?.focus();
          }}
        />
      )}
      {edited === undefined && shown !== undefined && shown.item === undefined && (
        <p class="note" role="status">
          There is no such item. It was deleted, has expired, or never was.
        </p>
      )}
      {edited === undefined && shown?.item !== undefined && (
        <Shown {...props} name={name} item={shown.item} onEdit={setEdited} onTook={took} />
      )}
    </section>
  );
}

function Edit({
  namespace,
  id,
  name,
  base,
  onDone,
}: {
  readonly namespace: string;
  readonly id: string;
  readonly name: string;
  readonly base: RecordItem;
  readonly onDone: (now: ItemValue | undefined) => void;
}) {
  const { records } = gateway.data.namespace(namespace);
  const { ttlSeconds } = base;
  return (
    <>
      {ttlSeconds !== undefined && (
        <p class="quiet">
          A save starts its time to live anew: {formatDuration(ttlSeconds * 1000)} from then on.
        </p>
      )}
      <ValueEdit<ItemValue>
        what="item"
        label={`Value of ${name}`}
        base={base}
        save={(over, mine) => saveItem(records, id, base.key, over, mine)}
        onDone={onDone}
      />
    </>
  );
}

interface ShownProps extends ItemViewProps {
  readonly name: string;
  readonly item: RecordItem;
  readonly onEdit: (item: RecordItem) => void;
  readonly onTook: (item: RecordItem | undefined) => void;
}

function Shown({ namespace, id, name, item, mayWrite, onChanged, onClose, onEdit, onTook }: ShownProps) {
  const [wasChanged, setChanged] = useState(false);
  const deleting = useAction(async () => {
    const { records } = gateway.data.namespace(namespace);
    const outcome = await deleteItem(records, id, item);
    if (outcome.kind === "conflict") {
      setChanged(true);
      onTook(outcome.theirs);
      return;
    }
    onChanged(undefined);
    const shown = name.slice(0, 40);
    const write = () => putItemBack(records, id, item);
    tell(`Deleted ${shown}`, () => void putBack(shown, write, () => onChanged(item)));
    onClose();
  });
  const remove = () => void deleting.run();
  const edit = () => onEdit(item);
  useShortcuts(
    mayWrite
      ? [
          { key: "e", does: "Edit the value", act: edit },
          { key: "Delete", does: "Delete the item", act: remove },
        ]
      : [],
  );
  return (
    <>
      <p class="key-facts quiet">
        <span>{formatBytes(item.value.length)}</span>
        <span>written {formatTime(item.updatedAtMs)}</span>
        <span>{expiryOfItem(item)}</span>
        {preparationOf(item).map((words) => (
          <span key={words}>{words}</span>
        ))}
      </p>
      <ValuePane bytes={item.value} {...{ name, wasChanged, deleting, mayWrite }} onEdit={edit} />
      <CopyAs snippets={snippetsOf({ kind: "item", id, key: item.key }, targetOf(namespace))} />
    </>
  );
}
