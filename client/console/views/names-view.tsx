import type { ComponentChildren } from "preact";
import { mayUseNamespace } from "../caller.ts";
import { go, hrefOf } from "../route.ts";
import { useShortcuts } from "../shortcuts.ts";
import { type Names, NamesSide, type NamesSideProps } from "./names-side.tsx";
import type { NamespacePart } from "./namespace-part.ts";

/** What the pane beside the names is given. */
export interface Pane {
  readonly mayWrite: boolean;
  /** Shows what these fields of the address say; the prefix stays. */
  readonly show: (fields: NamespacePart["query"]) => void;
}

/** What {@link NamesView} needs. */
export interface NamesViewProps extends NamespacePart, Pick<NamesSideProps, "part" | "words"> {
  readonly names: Names;
  /** Where one is made. */
  readonly paneOfNew: (pane: Pane) => ComponentChildren;
  /** The one that is open. */
  readonly paneOf: (name: string, pane: Pane) => ComponentChildren;
}

/** The names of a namespace's lists, records or streams, and beside them the one that is open. */
export function NamesView({ namespace, query, part, words, names, paneOfNew, paneOf }: NamesViewProps) {
  const { prefix = "", name } = query;
  const [one] = words;
  const isNew = query.new !== undefined;
  const mayWrite = mayUseNamespace(namespace, "write");
  const to = (fields: NamespacePart["query"]) => hrefOf(["ns", namespace, part], { prefix, ...fields });
  const hrefOfNew = to({ new: "1" });
  useShortcuts(mayWrite ? [{ key: "n", does: `Make a new ${one}`, act: () => go(hrefOfNew) }] : []);
  const isPaneOpen = isNew || name !== undefined;
  const pane: Pane = { mayWrite, show: (fields) => go(to(fields)) };
  return (
    <div class={isPaneOpen ? "keys-view open" : "keys-view"}>
      <NamesSide
        {...{ namespace, part, words, names, prefix, mayWrite, hrefOfNew }}
        opened={name}
        hrefOfName={(opened) => to({ name: opened })}
      />
      {isPaneOpen && (
        <section class="card keys-pane" aria-label={isNew ? `New ${one}` : TITLES[one]}>
          {isNew || name === undefined ? paneOfNew(pane) : paneOf(name, pane)}
        </section>
      )}
    </div>
  );
}

const TITLES = { list: "List", record: "Record", stream: "Stream" } as const;
