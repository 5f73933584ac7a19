import { hexOf, keyInAddress } from "../data/record-items.ts";
import { gateway } from "../gateway.ts";
import { useNames } from "./names-side.tsx";
import { NamesView } from "./names-view.tsx";
import type { NamespacePart } from "./namespace-part.ts";
import { ItemNew } from "./record-item-new.tsx";
import { RecordView } from "./record-view.tsx";

/** The records of a namespace, and beside them the one that is open. */
export function Records({ namespace, query }: NamespacePart) {
  const { prefix = "", item } = query;
  const ids = useNames(
    (signal) => gateway.data.namespace(namespace).records.idPages({ prefix, signal }),
    [namespace, prefix],
  );
  return (
    <NamesView
      {...{ namespace, query, names: ids }}
      part="records"
      words={["record", "records"]}
      paneOfNew={({ show }) => (
        <ItemNew
          namespace={namespace}
          id={undefined}
          onClose={() => show({})}
          onMade={(name, key) => {
            ids.refresh();
            show({ name, item: hexOf(key) });
          }}
        />
      )}
      paneOf={(name, { mayWrite, show }) => (
        <RecordView
          key={name}
          namespace={namespace}
          id={name}
          mayWrite={mayWrite}
          opened={keyInAddress(item)}
          onItem={(key) => show({ name, item: key && hexOf(key) })}
          onClose={() => show({})}
          onIds={ids.refresh}
        />
      )}
    />
  );
}
