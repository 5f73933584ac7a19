import { useEffect } from "preact/hooks";
import { whoLooks } from "../caller.ts";
import { curlOfFirstEntry } from "../data/first-entry.ts";
import { Empty } from "../parts/notes.tsx";
import { hrefOf } from "../route.ts";
import { dataUrl } from "../server.ts";
import { isVisible } from "../visible.ts";

const LOOK_MS = 10_000;

/** Says how to store the first entry, and looks now and then whether somebody did. */
export function FirstEntry({
  namespace,
  onLook,
}: {
  readonly namespace: string;
  readonly onLook: () => void;
}) {
  useEffect(() => {
    const timer = setInterval(() => {
      if (isVisible.peek()) {
        onLook();
      }
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [onLook]);
  const asksWhoCalls = whoLooks().value?.authConfigured ?? false;
  return (
    <Empty
      title="Nothing is stored yet"
      command={curlOfFirstEntry({ dataUrl: dataUrl(), namespace, asksWhoCalls })}
    >
      <p>
        Store the first entry from a terminal, or{" "}
        <a href={hrefOf(["ns", namespace, "keys"])}>in the namespace {namespace}</a>.
        {asksWhoCalls && (
          <>
            {" "}
            The line takes your key from <code>PRISM_TOKEN</code>.
          </>
        )}
      </p>
    </Empty>
  );
}
