import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { visible } from "../data/bytes.ts";
import { formatBytes, formatCount } from "../data/format.ts";
import { ListPages } from "../data/list-pages.ts";
import { snippetsOf } from "../data/snippets.ts";
import { freshness, gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { CopyAs, copy } from "../parts/copy.tsx";
import { ask } from "../parts/dialog.tsx";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import { Rows } from "../parts/rows.tsx";
import { tell } from "../parts/toasts.tsx";
import { problemOf } from "../problem.ts";
import { useShortcuts } from "../shortcuts.ts";
import { targetOf } from "../target.ts";
import { isVisible } from "../visible.ts";
import { ListPush } from "./list-push.tsx";
import { ListTrim } from "./list-trim.tsx";
import { ListValue } from "./list-value.tsx";

const ROW_HEIGHT_PX = 32;
/** How often it is looked whether others changed the list. */
const LOOK_MS = 3000;

/** What the view of a list needs. */
export interface ListViewProps {
  readonly namespace: string;
  readonly name: string;
  /** The place of the value that is open. */
  readonly index: number | undefined;
  readonly mayWrite: boolean;
  readonly onIndex: (index: number | undefined) => void;
  readonly onClose: () => void;
  /** Called when the list has no value any more. */
  readonly onGone: () => void;
}

/** A list: its values, and what can be done with it. */
export function ListView(props: ListViewProps) {
  const { namespace, name, index, mayWrite, onIndex, onClose } = props;
  const { pages, drawn, wasChanged, refresh } = useListPages(namespace, name);
  const [doing, setDoing] = useState<"push" | "trim" | undefined>(undefined);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  useShortcuts([{ key: "Escape", does: "Back to the lists", act: onClose }]);
  const done = () => {
    setDoing(undefined);
    refresh();
  };
  const { length } = pages;
  return (
    <>
      <div class="key-head">
        <button type="button" class="back" onClick={onClose}>
          ← Lists
        </button>
        <h2 ref={heading} class="mono" tabIndex={-1}>
          {visible(name)}
        </h2>
        <button type="button" onClick={() => copy(name, "The name is copied")}>
          Copy name
        </button>
      </div>
      <ProblemNote
        problem={pages.problem === undefined ? undefined : problemOf(pages.problem)}
        onRetry={() => pages.refresh()}
      />
      {length === undefined && pages.problem === undefined && <Waiting what="the list" />}
      <p class="key-facts quiet">
        {length !== undefined && (
          <span>
            {length === 0
              ? "There is no such list: it has no value."
              : `${formatCount(length)} ${length === 1 ? "value" : "values"}`}
          </span>
        )}
        <span role="status">{wasChanged && "Somebody changed it; it was read again."}</span>
      </p>
      {length !== undefined && length > 0 && (
        <Values pages={pages} drawn={drawn} index={index} onIndex={onIndex} />
      )}
      {mayWrite && doing === undefined && (
        <Actions {...props} length={length ?? 0} onDoing={setDoing} onDone={done} />
      )}
      {doing === "push" && (
        <ListPush namespace={namespace} name={name} onDone={done} onClose={() => setDoing(undefined)} />
      )}
      {doing === "trim" && (
        <ListTrim
          namespace={namespace}
          name={name}
          length={length ?? 0}
          onDone={done}
          onClose={() => setDoing(undefined)}
        />
      )}
      {index !== undefined && (
        <ListValue
          key={index}
          namespace={namespace}
          name={name}
          index={index}
          mayWrite={mayWrite}
          readings={pages.readings}
          onChanged={done}
          onClose={() => onIndex(undefined)}
        />
      )}
      <CopyAs snippets={snippetsOf({ kind: "list", list: name, start: 0, stop: -1 }, targetOf(namespace))} />
    </>
  );
}

/** The list, and whether others have changed it since it was opened or was changed here. */
function useListPages(namespace: string, name: string) {
  const [drawn, draw] = useState(0);
  const [wasChanged, setChanged] = useState(false);
  const fresh = freshness.value;
  const pages = useMemo(
    () => new ListPages(gateway.data.namespace(namespace).list, name, () => draw((count) => count + 1)),
    [namespace, name, fresh],
  );
  useEffect(() => {
    const timer = setInterval(async () => {
      if (isVisible.peek() && (await pages.look())) {
        setChanged(true);
      }
    }, LOOK_MS);
    return () => {
      clearInterval(timer);
      pages.close();
    };
  }, [pages]);
  const refresh = () => {
    setChanged(false);
    pages.refresh();
  };
  return { pages, drawn, wasChanged, refresh };
}

function Values({
  pages,
  index,
  onIndex,
}: {
  readonly pages: ListPages;
  /** Grows with each change of `pages`, which is one object always and would not be drawn again. */
  readonly drawn: number;
  readonly index: number | undefined;
  readonly onIndex: (index: number) => void;
}) {
  const [current, setCurrent] = useState(index ?? -1);
  const count = pages.length ?? 0;
  // A short list is as high as its values, and the lines around them.
  return (
    <div class="list-rows" style={{ height: `${count * ROW_HEIGHT_PX + 2}px` }}>
      <Rows
        label="Values"
        count={count}
        rowHeightPx={ROW_HEIGHT_PX}
        current={current}
        onCurrent={setCurrent}
        onOpen={onIndex}
        onSeen={(from, to) => pages.see(from, to)}
      >
        {(row) => {
          const preview = pages.at(row);
          return (
            <>
              <span class="number">{formatCount(row)}</span>
              <span class={row === index ? "mono key opened" : "mono key"}>{preview?.text ?? "…"}</span>
              {preview !== undefined && <span class="size">{formatBytes(preview.size)}</span>}
            </>
          );
        }}
      </Rows>
    </div>
  );
}

function Actions({
  namespace,
  name,
  length,
  onIndex,
  onGone,
  onDoing,
  onDone,
}: ListViewProps & {
  readonly length: number;
  readonly onDoing: (doing: "push" | "trim") => void;
  readonly onDone: () => void;
}) {
  const { list } = gateway.data.namespace(namespace);
  const after = (left: number) => {
    onIndex(undefined);
    onDone();
    if (left === 0) {
      onGone();
    }
  };
  const popping = useAction(async (end: "left" | "right") => {
    const value = await (end === "left" ? list.popLeft(name) : list.popRight(name));
    after(value === undefined ? 0 : length - 1);
    if (value === undefined) {
      tell("The list has no value");
      return;
    }
    tell(end === "left" ? "Took the first value" : "Took the last value", async () => {
      try {
        await (end === "left" ? list.pushLeft(name, value) : list.pushRight(name, value));
        tell("The value is back");
        onDone();
      } catch (thrown) {
        tell(`The value is not back: ${problemOf(thrown).message}`);
      }
    });
  });
  const deleting = useAction(async () => {
    // What begins behind its end leaves nothing.
    await list.trim(name, 1, 0);
    tell("The list is deleted");
    after(0);
  });
  const isBusy = popping.isRunning || deleting.isRunning;
  const isEmpty = length === 0;
  return (
    <>
      <ProblemNote problem={popping.problem ?? deleting.problem} />
      <div class="buttons">
        <button type="button" disabled={isBusy || isEmpty} onClick={() => void popping.run("left")}>
          Take the first
        </button>
        <button type="button" disabled={isBusy || isEmpty} onClick={() => void popping.run("right")}>
          Take the last
        </button>
        <button type="button" disabled={isEmpty} onClick={() => onDoing("trim")}>
          Trim …
        </button>
        <button
          type="button"
          class="danger"
          disabled={isBusy || isEmpty}
          onClick={async () => {
            const text =
              length === 1 ? "Its value is lost." : `All its ${formatCount(length)} values are lost.`;
            if (await ask({ title: "Delete the list?", text, yes: "Delete" })) {
              void deleting.run();
            }
          }}
        >
          Delete
        </button>
        <button type="button" class="main" onClick={() => onDoing("push")}>
          Add a value
        </button>
      </div>
    </>
  );
}
