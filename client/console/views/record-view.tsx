import { useEffect, useRef, useState } from "preact/hooks";
import type { RecordItem } from "../../web.ts";
import { visible } from "../data/bytes.ts";
import { formatCount, formatDuration, formatTime } from "../data/format.ts";
import { isSame } from "../data/key-write.ts";
import { ITEMS_PAGE, type ItemRow, itemPages, keyText, rowOf } from "../data/record-items.ts";
import { snippetsOf } from "../data/snippets.ts";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { CopyAs, copy } from "../parts/copy.tsx";
import { ask } from "../parts/dialog.tsx";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import { Rows } from "../parts/rows.tsx";
import { tell } from "../parts/toasts.tsx";
import { problemOf } from "../problem.ts";
import { useShortcuts } from "../shortcuts.ts";
import { targetOf } from "../target.ts";
import { type Names, useNames } from "./names-side.tsx";
import { ItemView } from "./record-item.tsx";
import { ItemNew } from "./record-item-new.tsx";
import "./lists.css";
import "./records.css";

type Bytes = Uint8Array<ArrayBuffer>;

const ROW_HEIGHT_PX = 32;
const BORDERS_PX = 2;

/** What the view of a record needs. */
export interface RecordViewProps {
  readonly namespace: string;
  readonly id: string;
  /** The key of the item that is open. */
  readonly opened: Bytes | undefined;
  readonly mayWrite: boolean;
  readonly onItem: (key: Bytes | undefined) => void;
  readonly onClose: () => void;
  /** Called when there may be a record more or less. */
  readonly onIds: () => void;
}

/** A record: its items, and what can be done with it. */
export function RecordView({ namespace, id, opened, mayWrite, onItem, onClose, onIds }: RecordViewProps) {
  const items = useNames(
    (signal) => itemPages(gateway.data.namespace(namespace).records, id, signal),
    [namespace, id],
    ITEMS_PAGE,
  );
  const { pages } = items;
  const [isAdding, setAdding] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  useShortcuts([
    opened === undefined
      ? { key: "Escape", does: "Back to the records", act: onClose }
      : { key: "Escape", does: "Close the item", act: () => onItem(undefined) },
  ]);
  const isGone = pages.isAtEnd && pages.items.length === 0;
  return (
    <>
      <div class="key-head">
        <button type="button" class="back" onClick={onClose}>
          ← Records
        </button>
        <h2 ref={heading} class="mono" tabIndex={-1}>
          {visible(id)}
        </h2>
        <button type="button" onClick={() => copy(id, "The id is copied")}>
          Copy id
        </button>
      </div>
      <Items items={items} opened={opened} onItem={onItem} />
      {mayWrite && !isAdding && (
        <Actions
          namespace={namespace}
          id={id}
          isGone={isGone}
          onAdd={() => setAdding(true)}
          onDeleted={() => {
            onIds();
            onClose();
          }}
        />
      )}
      {isAdding && (
        <ItemNew
          namespace={namespace}
          id={id}
          onClose={() => setAdding(false)}
          onMade={(_id, key) => {
            setAdding(false);
            items.refresh();
            onIds();
            onItem(key);
          }}
        />
      )}
      {opened !== undefined && (
        <ItemView
          key={keyText(opened)}
          namespace={namespace}
          id={id}
          itemKey={opened}
          mayWrite={mayWrite}
          onChanged={(now) => show(items, opened, now, onIds)}
          onClose={() => onItem(undefined)}
        />
      )}
      {opened === undefined && <CopyAs snippets={snippetsOf({ kind: "record", id }, targetOf(namespace))} />}
    </>
  );
}

/** Shows what an item is now; `undefined` = it is gone, and so may the record be. */
function show(items: Names<ItemRow>, key: Bytes, now: RecordItem | undefined, onIds: () => void): void {
  const { pages } = items;
  const place = pages.items.findIndex((row) => isSame(row.key, key));
  if (place === -1) {
    items.refresh();
  } else {
    pages.replace(place, now && rowOf(now));
  }
  if (place === -1 || pages.items.length === 0) {
    onIds();
  }
}

function Items({
  items: { pages, refresh },
  opened,
  onItem,
}: {
  readonly items: Names<ItemRow>;
  readonly opened: Bytes | undefined;
  readonly onItem: (key: Bytes) => void;
}) {
  const [current, setCurrent] = useState(-1);
  const count = pages.items.length;
  const isOpened = ({ key }: ItemRow) => opened !== undefined && isSame(key, opened);
  return (
    <>
      <ProblemNote
        problem={pages.problem === undefined ? undefined : problemOf(pages.problem)}
        onRetry={() => pages.retry()}
      />
      {count === 0 && !pages.isAtEnd && pages.problem === undefined && <Waiting what="the record" />}
      <p class="key-facts quiet">
        <span role="status">
          {count > 0 &&
            `${formatCount(count)} ${count === 1 ? "item" : "items"}${pages.isAtEnd ? "" : " or more"}`}
          {count === 0 && pages.isAtEnd && "There is no such record: it has no item."}
        </span>
        <button type="button" onClick={refresh}>
          Read again
        </button>
      </p>
      {count > 0 && (
        <div
          class="list-rows item-rows"
          // As high as its items: the one that is open stands below.
          style={{ height: `min(24rem, 50dvh, ${count * ROW_HEIGHT_PX + BORDERS_PX}px)` }}
        >
          <Rows
            label="Items"
            count={count}
            rowHeightPx={ROW_HEIGHT_PX}
            current={current}
            onCurrent={setCurrent}
            onOpen={(index) => {
              const row = pages.items[index];
              if (row !== undefined) {
                onItem(row.key);
              }
            }}
            onSeen={(_from, to) => pages.see(to)}
          >
            {(index) => {
              const row = pages.items[index];
              return row && <ItemCells row={row} isOpened={isOpened(row)} />;
            }}
          </Rows>
        </div>
      )}
    </>
  );
}

function ItemCells({ row, isOpened }: { readonly row: ItemRow; readonly isOpened: boolean }) {
  const { key, preview, ttlSeconds, updatedAtMs } = row;
  const shown = keyText(key);
  return (
    <>
      <span class={isOpened ? "mono key item-key opened" : "mono key item-key"} title={shown}>
        {shown}
      </span>
      <span class="mono key item-value">{preview.text}</span>
      {ttlSeconds !== undefined && <span class="size">lives {formatDuration(ttlSeconds * 1000)}</span>}
      <span class="size updated" title="last written">
        {formatTime(updatedAtMs)}
      </span>
    </>
  );
}

/** What is longer, or has what is not seen, is not typed. */
const MAX_TYPED_LENGTH = 64;

function Actions({
  namespace,
  id,
  isGone,
  onAdd,
  onDeleted,
}: {
  readonly namespace: string;
  readonly id: string;
  readonly isGone: boolean;
  readonly onAdd: () => void;
  readonly onDeleted: () => void;
}) {
  const deleting = useAction(async () => {
    const count = await gateway.data.namespace(namespace).records.delete(id);
    tell(`The record is deleted, with ${formatCount(count)} ${count === 1 ? "item" : "items"}`);
    onDeleted();
  });
  async function askAndDelete(): Promise<void> {
    const isTyped = visible(id) === id && id.trim() === id && id.length <= MAX_TYPED_LENGTH;
    const text = "All its items are lost. Nobody can bring them back.";
    if (await ask({ title: "Delete the record?", text, yes: "Delete", ...(isTyped && { typed: id }) })) {
      await deleting.run();
    }
  }
  return (
    <>
      <ProblemNote problem={deleting.problem} />
      <div class="buttons">
        <button
          type="button"
          class="danger"
          disabled={deleting.isRunning || isGone}
          onClick={() => void askAndDelete()}
        >
          Delete record …
        </button>
        <button type="button" class="main" onClick={onAdd}>
          New item
        </button>
      </div>
    </>
  );
}
