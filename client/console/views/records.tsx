import { mayUseNamespace } from "../caller.ts";
import { hexOf, keyInAddress } from "../data/record-items.ts";
import { gateway } from "../gateway.ts";
import { go, hrefOf } from "../route.ts";
import { useShortcuts } from "../shortcuts.ts";
import { NamesSide, useNames } from "./names-side.tsx";
import type { NamespacePart } from "./namespace-part.ts";
import { ItemNew } from "./record-item-new.tsx";
import { RecordView } from "./record-view.tsx";

/** The records of a namespace, and beside them the one that is open. */
export function Records({ namespace, query }: NamespacePart) {
  const { prefix = "", name, item } = query;
  const isNew = query.new !== undefined;
  const ids = useNames(
    (signal) => gateway.data.namespace(namespace).records.idPages({ prefix, signal }),
    [namespace, prefix],
  );
  const mayWrite = mayUseNamespace(namespace, "write");
  const to = (fields: NamespacePart["query"]) => hrefOf(["ns", namespace, "records"], { prefix, ...fields });
  const isPaneOpen = isNew || name !== undefined;
  useShortcuts(mayWrite ? [{ key: "n", does: "Make a new record", act: () => go(to({ new: "1" })) }] : []);
  return (
    <div class={isPaneOpen ? "keys-view open" : "keys-view"}>
      <NamesSide
        namespace={namespace}
        part="records"
        words={["record", "records"]}
        names={ids}
        prefix={prefix}
        opened={name}
        mayWrite={mayWrite}
        hrefOfName={(opened) => to({ name: opened })}
        hrefOfNew={to({ new: "1" })}
      />
      {isPaneOpen && (
        <section class="card keys-pane" aria-label={isNew ? "New record" : "Record"}>
          {isNew || name === undefined ? (
            <ItemNew
              namespace={namespace}
              id={undefined}
              onClose={() => go(to({}))}
              onMade={(id, key) => {
                ids.refresh();
                go(to({ name: id, item: hexOf(key) }));
              }}
            />
          ) : (
            <RecordView
              key={name}
              namespace={namespace}
              id={name}
              opened={keyInAddress(item)}
              mayWrite={mayWrite}
              onItem={(key) => go(to({ name, item: key && hexOf(key) }))}
              onClose={() => go(to({}))}
              onIds={ids.refresh}
            />
          )}
        </section>
      )}
    </div>
  );
}
