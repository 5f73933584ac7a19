import { mayUseNamespace } from "../caller.ts";
import { gateway } from "../gateway.ts";
import { go, hrefOf } from "../route.ts";
import { ListPush } from "./list-push.tsx";
import { ListView } from "./list-view.tsx";
import { NamesSide, useNames } from "./names-side.tsx";
import type { NamespacePart } from "./namespace-part.ts";
import "./lists.css";

/** The lists of a namespace, and beside them the one that is open. */
export function Lists({ namespace, query }: NamespacePart) {
  const { prefix = "", name, at } = query;
  const isNew = query.new !== undefined;
  const names = useNames(
    (signal) => gateway.data.namespace(namespace).list.namePages({ prefix, signal }),
    [namespace, prefix],
  );
  const mayWrite = mayUseNamespace(namespace, "write");
  const to = (fields: NamespacePart["query"]) => hrefOf(["ns", namespace, "lists"], { prefix, ...fields });
  const isPaneOpen = isNew || name !== undefined;
  return (
    <div class={isPaneOpen ? "keys-view open" : "keys-view"}>
      <NamesSide
        namespace={namespace}
        part="lists"
        words={["list", "lists"]}
        names={names}
        prefix={prefix}
        opened={name}
        mayWrite={mayWrite}
        hrefOfName={(opened) => to({ name: opened })}
        hrefOfNew={to({ new: "1" })}
      />
      {isPaneOpen && (
        <section class="card keys-pane" aria-label={isNew ? "New list" : "List"}>
          {isNew || name === undefined ? (
            <ListPush
              namespace={namespace}
              name={undefined}
              onClose={() => go(to({}))}
              onDone={(made) => {
                names.refresh();
                go(to({ name: made }));
              }}
            />
          ) : (
            <ListView
              key={name}
              namespace={namespace}
              name={name}
              index={at === undefined || !/^\d+$/.test(at) ? undefined : Number(at)}
              mayWrite={mayWrite}
              onIndex={(index) => go(to({ name, at: index === undefined ? undefined : `${index}` }))}
              onClose={() => go(to({}))}
              onGone={names.refresh}
            />
          )}
        </section>
      )}
    </div>
  );
}
