import { useEffect, useRef, useState } from "preact/hooks";
import { mayUseNamespace } from "../caller.ts";
import { visible } from "../data/bytes.ts";
import { curlOfFirstEntry } from "../data/first-entry.ts";
import { snippetsOf } from "../data/snippets.ts";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { CopyAs } from "../parts/copy.tsx";
import { Empty, ProblemNote } from "../parts/notes.tsx";
import { go, hrefOf, route } from "../route.ts";
import { useShortcuts } from "../shortcuts.ts";
import { targetOf } from "../target.ts";
import { countOf, KeyList, useKeyPages } from "./key-list.tsx";
import { KeyNew } from "./key-new.tsx";
import { KeyView } from "./key-view.tsx";
import type { NamespacePart } from "./namespace-part.ts";
import "./keys.css";

/** The keys of a namespace: a list, and beside it the key that is open. */
export function Keys({ namespace, query }: NamespacePart) {
  const { prefix = "", key: opened } = query;
  const isNew = query.new !== undefined;
  const pages = useKeyPages(namespace, prefix);
  const box = useRef<HTMLDivElement>(null);
  const mayWrite = mayUseNamespace(namespace, "write");
  const at = (fields: NamespacePart["query"]) => hrefOf(["ns", namespace, "keys"], { prefix, ...fields });
  const open = (key: string) => go(at({ key }));
  const close = () => go(at({}));
  const isPaneOpen = opened !== undefined || isNew;
  const wasPaneOpen = useRef(isPaneOpen);
  useEffect(() => {
    if (wasPaneOpen.current && !isPaneOpen) {
      box.current?.querySelector<HTMLElement>('[role="listbox"]')?.focus();
    }
    wasPaneOpen.current = isPaneOpen;
  }, [isPaneOpen]);
  useShortcuts(mayWrite ? [{ key: "n", does: "Make a new key", act: () => go(at({ new: "1" })) }] : []);
  return (
    <div ref={box} class={isPaneOpen ? "keys-view open" : "keys-view"}>
      <div class="keys-side">
        <Search namespace={namespace} prefix={prefix} onOpen={open} />
        <div class="bar">
          <span role="status">{countOf(pages)}</span>
          <button type="button" onClick={() => pages.refresh()}>
            Refresh
          </button>
          {mayWrite && (
            <a class="button main" href={at({ new: "1" })}>
              New key
            </a>
          )}
        </div>
        {pages.hasRead && pages.rows === 0 ? (
          <NoKeys namespace={namespace} prefix={prefix} />
        ) : (
          <KeyList key={`${namespace}/${prefix}`} pages={pages} opened={opened} onOpen={open} />
        )}
        <CopyAs snippets={snippetsOf({ kind: "keys", prefix }, targetOf(namespace))} />
      </div>
      {isPaneOpen && (
        <section class="card keys-pane" aria-label={opened === undefined ? "New key" : "Key"}>
          {opened !== undefined ? (
            <KeyView
              key={opened}
              namespace={namespace}
              name={opened}
              onCount={(key, by) => pages.change(key, by)}
              onClose={close}
            />
          ) : (
            <KeyNew
              namespace={namespace}
              start={prefix}
              onClose={close}
              onMade={(key) => {
                pages.change(key, 1);
                open(key);
              }}
            />
          )}
        </section>
      )}
    </div>
  );
}

/** As long as somebody types, nothing is read. */
const TYPING_MS = 150;

/** A field for the beginning of keys. Enter opens the key that is exactly so. */
function Search({
  namespace,
  prefix,
  onOpen,
}: {
  readonly namespace: string;
  readonly prefix: string;
  readonly onOpen: (key: string) => void;
}) {
  const field = useRef<HTMLInputElement>(null);
  const [text, setText] = useState(prefix);
  const [missing, setMissing] = useState<string | undefined>(undefined);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => setText(prefix), [prefix]);
  useEffect(() => () => clearTimeout(timer.current), []);
  useShortcuts([{ key: "/", does: "Search keys", act: () => field.current?.select() }]);
  const opening = useAction(async (key: string) => {
    if (await gateway.data.namespace(namespace).keyvalue.exists(key)) {
      onOpen(key);
    } else {
      setMissing(key);
    }
  });
  return (
    <search>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (text !== "") {
            void opening.run(text);
          }
        }}
      >
        <input
          ref={field}
          type="search"
          class="mono"
          aria-label="Prefix or key"
          placeholder="Prefix or key  ( / )"
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(event) => {
            const typed = event.currentTarget.value;
            setText(typed);
            clearTimeout(timer.current);
            timer.current = setTimeout(() => {
              // A key may have been opened since.
              const { path, query } = route.peek();
              go(hrefOf(path, { ...query, prefix: typed }), { replace: true });
            }, TYPING_MS);
          }}
        />
        <button type="submit" disabled={text === "" || opening.isRunning}>
          Open
        </button>
      </form>
      <ProblemNote problem={opening.problem} />
      <p class="quiet" role="status">
        {missing !== undefined &&
          missing === text &&
          "No key is exactly this. The list has those that begin so."}
      </p>
    </search>
  );
}

/** Says what to do where there is nothing. */
function NoKeys({ namespace, prefix }: { readonly namespace: string; readonly prefix: string }) {
  if (prefix !== "") {
    return (
      <Empty title="No key begins so">
        <p>
          Nothing begins with <span class="mono">{visible(prefix)}</span>.{" "}
          <a href={hrefOf(["ns", namespace, "keys"])}>Show all keys</a>
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="No key is here yet" command={curlOfFirstEntry(targetOf(namespace))}>
      <p>Make one with “New key”, or from a terminal, then refresh:</p>
    </Empty>
  );
}
