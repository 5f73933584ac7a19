import { gateway } from "../gateway.ts";
import { ListPush } from "./list-push.tsx";
import { ListView } from "./list-view.tsx";
import { useNames } from "./names-side.tsx";
import { NamesView } from "./names-view.tsx";
import type { NamespacePart } from "./namespace-part.ts";
import "./lists.css";

/** The lists of a namespace, and beside them the one that is open. */
export function Lists({ namespace, query }: NamespacePart) {
  const { prefix = "", at } = query;
  const names = useNames(
    (signal) => gateway.data.namespace(namespace).list.namePages({ prefix, signal }),
    [namespace, prefix],
  );
  return (
    <NamesView
      {...{ namespace, query, names }}
      part="lists"
      words={["list", "lists"]}
      paneOfNew={({ show }) => (
        <ListPush
          namespace={namespace}
          name={undefined}
          onClose={() => show({})}
          onDone={(name) => {
            names.refresh();
            show({ name });
          }}
        />
      )}
      paneOf={(name, { mayWrite, show }) => (
        <ListView
          key={name}
          {...{ namespace, name, mayWrite }}
          index={at === undefined || !/^\d+$/.test(at) ? undefined : Number(at)}
          onIndex={(index) => show({ name, at: index === undefined ? undefined : `${index}` })}
          onClose={() => show({})}
          onGone={names.refresh}
        />
      )}
    />
  );
}
