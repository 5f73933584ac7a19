import { useMemo } from "preact/hooks";
import { kindOf, textOf, visible } from "../data/bytes.ts";
import { indentJson } from "../data/draft.ts";
import { formatCount } from "../data/format.ts";
import { type DiffLine, diffLines } from "../data/line-diff.ts";
import { ValueView } from "../parts/value-view.tsx";

/** Longer texts are shown one after the other. */
const MAX_DIFF_BYTES = 256 * 1024;

/** Shows what another wrote while somebody edited, and asks which of both is to stay. */
export function Conflict({
  what,
  theirs,
  mine,
  isRunning,
  onKeep,
  onOverwrite,
}: {
  /** What it is the value of. */
  readonly what: "key" | "item";
  /** `undefined` = the other deleted it. */
  readonly theirs: { readonly value: Uint8Array<ArrayBuffer> } | undefined;
  readonly mine: Uint8Array<ArrayBuffer>;
  readonly isRunning: boolean;
  readonly onKeep: () => void;
  readonly onOverwrite: () => void;
}) {
  return (
    <section class="note conflict" role="alert" aria-label="Conflict">
      {theirs === undefined ? (
        <p>
          <b>Somebody deleted this {what} while you edited it, or it expired.</b> Nothing was saved yet.
        </p>
      ) : (
        <>
          <p>
            <b>Somebody else changed this {what} while you edited it.</b> Nothing was saved yet: choose what
            stays.
          </p>
          <Difference theirs={theirs.value} mine={mine} />
        </>
      )}
      <div class="buttons">
        <button type="button" disabled={isRunning} onClick={onKeep}>
          {theirs === undefined ? "Leave it deleted" : "Keep theirs"}
        </button>
        <button type="button" class="danger" disabled={isRunning} onClick={onOverwrite}>
          {theirs === undefined ? "Write mine again" : "Overwrite with mine"}
        </button>
      </div>
    </section>
  );
}

function Difference({
  theirs,
  mine,
}: {
  readonly theirs: Uint8Array<ArrayBuffer>;
  readonly mine: Uint8Array<ArrayBuffer>;
}) {
  const lines = useMemo(() => differenceOf(theirs, mine), [theirs, mine]);
  if (lines === undefined) {
    return (
      <div class="both">
        <div>
          <h3>Theirs</h3>
          <ValueView bytes={theirs} />
        </div>
        <div>
          <h3>Mine</h3>
          <ValueView bytes={mine} />
        </div>
      </div>
    );
  }
  return (
    <>
      <p class="quiet">
        <span class="bad">− theirs</span>, <span class="good">+ mine</span>
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, by the keyboard too */}
      <section class="diff mono" tabIndex={0} aria-label="What differs">
        {lines.map((line, i) => (
          <DiffRow key={i} line={line} />
        ))}
      </section>
    </>
  );
}

function DiffRow({ line }: { readonly line: DiffLine }) {
  switch (line.kind) {
    case "skipped":
      return <div class="quiet">… {formatCount(line.count)} lines alike</div>;
    case "same":
      return <div>{`  ${visible(line.text)}`}</div>;
    case "theirs":
      return <del>{`− ${visible(line.text)}`}</del>;
    case "mine":
      return <ins>{`+ ${visible(line.text)}`}</ins>;
  }
}

/** `undefined` = they are no texts, or too long. */
function differenceOf(theirs: Uint8Array, mine: Uint8Array): readonly DiffLine[] | undefined {
  const [a, b] = [textOf(theirs), textOf(mine)];
  if (a === undefined || b === undefined || theirs.length + mine.length > MAX_DIFF_BYTES) {
    return undefined;
  }
  const areJson = kindOf(theirs) === "json" && kindOf(mine) === "json";
  const indented = areJson ? diffLines(indentJson(a), indentJson(b)) : [];
  // Where only white space differs, that is shown.
  return indented.some(({ kind }) => kind !== "skipped") ? indented : diffLines(a, b);
}
