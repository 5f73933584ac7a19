import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { visible } from "../data/bytes.ts";
import { formatCount } from "../data/format.ts";
import { NamePages } from "../data/name-pages.ts";
import { curlOfFirst, snippetsOf } from "../data/snippets.ts";
import { freshness } from "../gateway.ts";
import { CopyAs } from "../parts/copy.tsx";
import { Empty, ProblemNote, Waiting } from "../parts/notes.tsx";
import { Rows } from "../parts/rows.tsx";
import { problemOf } from "../problem.ts";
import { go, hrefOf } from "../route.ts";
import { useShortcuts } from "../shortcuts.ts";
import { targetOf } from "../target.ts";
import "./keys.css";

const ROW_HEIGHT_PX = 32;
/** As long as somebody types, nothing is read. */
const TYPING_MS = 150;

/** Names that are read as they are needed. */
export interface Names<T = string> {
  readonly pages: NamePages<T>;
  /** Reads all again. */
  readonly refresh: () => void;
}

/** Reads names when `inputs` change, after a sign-in, and when the gateway is back. */
export function useNames<T>(
  open: (signal: AbortSignal) => AsyncIterator<readonly T[]>,
  inputs: readonly unknown[],
  ahead?: number,
): Names<T> {
  const [, draw] = useState(0);
  const [count, setCount] = useState(0);
  const fresh = freshness.value;
  const pages = useMemo(
    () => new NamePages(open, () => draw((drawn) => drawn + 1), ahead),
    [...inputs, count, fresh],
  );
  useEffect(() => () => pages.close(), [pages]);
  return { pages, refresh: () => setCount((before) => before + 1) };
}

/** What {@link NamesSide} needs. */
export interface NamesSideProps {
  readonly namespace: string;
  readonly part: "lists" | "records" | "streams";
  /** What one is called, and several. */
  readonly words: readonly [one: "list" | "record" | "stream", several: string];
  readonly names: Names;
  readonly prefix: string;
  /** The name that is open. */
  readonly opened: string | undefined;
  readonly mayWrite: boolean;
  /** The address of a name. */
  readonly hrefOfName: (name: string) => string;
  readonly hrefOfNew: string;
}

/** The names of lists, records or streams: a field to search, and those with its prefix. */
export function NamesSide(props: NamesSideProps) {
  const { namespace, part, words, names, prefix, opened, mayWrite, hrefOfName, hrefOfNew } = props;
  const { pages, refresh } = names;
  const [current, setCurrent] = useState(-1);
  const [one, several] = words;
  const problem = pages.problem === undefined ? undefined : problemOf(pages.problem);
  const count = pages.items.length;
  return (
    <div class="keys-side">
      <Search {...props} />
      <div class="bar">
        <span role="status">
          {(pages.isAtEnd || count > 0) &&
            `${formatCount(count)} ${count === 1 ? one : several}${pages.isAtEnd ? "" : " or more"}`}
        </span>
        <button type="button" onClick={refresh}>
          Refresh
        </button>
        {mayWrite && (
          <a class="button main" href={hrefOfNew}>
            New {one}
          </a>
        )}
      </div>
      {problem?.reason === "interface_unsupported" ? (
        <p class="note">
          {part === "streams"
            ? "The store of this namespace has no streams."
            : `This store does not tell which ${several} it has. Type the name of one, then open it.`}
        </p>
      ) : (
        <ProblemNote problem={problem} onRetry={() => pages.retry()} />
      )}
      {count === 0 && !pages.isAtEnd && problem === undefined && <Waiting what={several} />}
      {pages.isAtEnd && count === 0 ? (
        <NoNames namespace={namespace} part={part} words={words} prefix={prefix} />
      ) : (
        <Rows
          key={`${namespace}/${prefix}`}
          label={several}
          count={count}
          rowHeightPx={ROW_HEIGHT_PX}
          current={current}
          onCurrent={setCurrent}
          onOpen={(row) => {
            const name = pages.items[row];
            if (name !== undefined) {
              go(hrefOfName(name));
            }
          }}
          onSeen={(_from, to) => pages.see(to)}
        >
          {(row) => {
            const name = pages.items[row] ?? "";
            const shown = visible(name);
            return (
              <span class={name === opened ? "mono key opened" : "mono key"} title={shown}>
                {shown}
              </span>
            );
          }}
        </Rows>
      )}
      <CopyAs snippets={snippetsOf({ kind: part, prefix }, targetOf(namespace))} />
    </div>
  );
}

/** A field for the beginning of names. Enter opens the one that is exactly so. */
function Search({ namespace, part, words: [one], prefix, opened, hrefOfName }: NamesSideProps) {
  const field = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const [text, setText] = useState(prefix);
  useEffect(() => setText(prefix), [prefix]);
  useEffect(() => () => clearTimeout(timer.current), []);
  useShortcuts([{ key: "/", does: `Search ${part}`, act: () => field.current?.select() }]);
  const label = `Prefix or ${one === "record" ? "id" : "name"} of a ${one}`;
  return (
    <search>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (text !== "") {
            clearTimeout(timer.current);
            go(hrefOfName(text));
          }
        }}
      >
        <input
          ref={field}
          type="search"
          class="mono"
          aria-label={label}
          placeholder={`${label}  ( / )`}
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(event) => {
            const typed = event.currentTarget.value;
            setText(typed);
            clearTimeout(timer.current);
            timer.current = setTimeout(() => {
              go(hrefOf(["ns", namespace, part], { prefix: typed, name: opened }), { replace: true });
            }, TYPING_MS);
          }}
        />
        <button type="submit" disabled={text === ""}>
          Open
        </button>
      </form>
    </search>
  );
}

/** Says what to do where there is nothing. */
function NoNames({
  namespace,
  part,
  words: [one, several],
  prefix,
}: Pick<NamesSideProps, "namespace" | "part" | "words" | "prefix">) {
  if (prefix !== "") {
    return (
      <Empty title={`No ${one} begins so`}>
        <p>
          Nothing begins with <span class="mono">{visible(prefix)}</span>.{" "}
          <a href={hrefOf(["ns", namespace, part])}>Show all {several}</a>
        </p>
      </Empty>
    );
  }
  return (
    <Empty title={`No ${one} is here yet`} command={curlOfFirst(one, targetOf(namespace))}>
      <p>Make one with “New {one}”, or from a terminal, then refresh:</p>
    </Empty>
  );
}
