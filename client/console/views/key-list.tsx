import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { visible } from "../data/bytes.ts";
import { formatCount } from "../data/format.ts";
import { KeyPages } from "../data/key-pages.ts";
import { freshness, gateway } from "../gateway.ts";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import { Rows } from "../parts/rows.tsx";
import { problemOf } from "../problem.ts";

const ROW_HEIGHT_PX = 32;

/** The keys of a namespace with a prefix. They are read again after a sign-in or an absence. */
export function useKeyPages(namespace: string, prefix: string): KeyPages {
  const [, draw] = useState(0);
  const pages = useMemo(
    () => new KeyPages(gateway.data.namespace(namespace).keyvalue, prefix, () => draw((count) => count + 1)),
    [namespace, prefix],
  );
  useEffect(() => () => pages.close(), [pages]);
  const fresh = freshness.value;
  const last = useRef(fresh);
  useEffect(() => {
    if (last.current !== fresh) {
      last.current = fresh;
      pages.refresh();
    }
  }, [fresh, pages]);
  return pages;
}

/** The keys, of which those in sight are read. */
export function KeyList({
  pages,
  opened,
  onOpen,
}: {
  readonly pages: KeyPages;
  /** The key that is shown beside the list. */
  readonly opened: string | undefined;
  readonly onOpen: (key: string) => void;
}) {
  const [current, setCurrent] = useState(-1);
  return (
    <>
      <ProblemNote
        problem={pages.problem === undefined ? undefined : problemOf(pages.problem)}
        onRetry={() => pages.refresh()}
      />
      {!pages.hasRead && pages.problem === undefined && <Waiting what="keys" />}
      <Rows
        label="Keys"
        count={pages.rows}
        rowHeightPx={ROW_HEIGHT_PX}
        current={current}
        onCurrent={setCurrent}
        isChosen={(row) => opened !== undefined && pages.keyAt(row) === opened}
        onOpen={(row) => {
          const key = pages.keyAt(row);
          if (key !== undefined) {
            onOpen(key);
          }
        }}
        onSeen={(from, to) => pages.see(from, to)}
      >
        {(row) => <KeyRow row={row} keyName={pages.keyAt(row)} opened={opened} />}
      </Rows>
      <p class="quiet list-state" role="status">
        {pages.progress !== undefined &&
          `Reading on to key ${formatCount(pages.progress.row + 1)}: ${Math.floor(100 * pages.progress.share)} %`}
      </p>
    </>
  );
}

function KeyRow({
  row,
  keyName,
  opened,
}: {
  readonly row: number;
  readonly keyName: string | undefined;
  readonly opened: string | undefined;
}) {
  if (keyName === undefined) {
    return <span class="quiet">{formatCount(row + 1)} …</span>;
  }
  const shown = visible(keyName);
  return (
    <span class={keyName === opened ? "mono key opened" : "mono key"} title={shown}>
      {shown}
    </span>
  );
}

/** How many keys there are, in words. */
export function countOf(pages: KeyPages): string {
  if (!pages.hasRead && !pages.isCounted) {
    return "";
  }
  const count = `${formatCount(pages.rows)} ${pages.rows === 1 ? "key" : "keys"}`;
  return pages.isCounted ? count : `${count} and more`;
}
