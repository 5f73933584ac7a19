import { mayUseNamespace } from "../caller.ts";
import { gateway } from "../gateway.ts";
import { EventAppend } from "./event-append.tsx";
import { useNames } from "./names-side.tsx";
import { NamesView } from "./names-view.tsx";
import type { NamespacePart } from "./namespace-part.ts";
import { StreamNew } from "./stream-new.tsx";
import { StreamView } from "./stream-view.tsx";

/** The streams of a namespace, and beside them the one that is open. */
export function Streams({ namespace, query }: NamespacePart) {
  const { prefix = "" } = query;
  const names = useNames(
    (signal) => gateway.data.namespace(namespace).timeseries.streamPages({ prefix, signal }),
    [namespace, prefix],
  );
  return (
    <NamesView
      {...{ namespace, query, names }}
      part="streams"
      words={["stream", "streams"]}
      paneOfNew={({ show }) => {
        const onClose = () => show({});
        const onMade = (name: string) => {
          names.refresh();
          show({ name });
        };
        // Who may not make one can still append to one that is not there.
        return mayUseNamespace(namespace, "admin") ? (
          <StreamNew {...{ namespace, onMade, onClose }} />
        ) : (
          <EventAppend {...{ namespace, onClose }} stream={undefined} onDone={onMade} />
        );
      }}
      paneOf={(name, { mayWrite, show }) => (
        <StreamView
          key={name}
          {...{ namespace, name, query, mayWrite }}
          show={(fields) => show({ name, ...fields })}
          onClose={() => show({})}
          onGone={names.refresh}
        />
      )}
    />
  );
}
