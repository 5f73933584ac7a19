import { useEffect } from "preact/hooks";
import { type Namespace, NamespaceStatus } from "../../../gen/prism/control/v1/namespace_pb.ts";
import { mayUseNamespace } from "../caller.ts";
import { curlOfFirstEntry } from "../data/first-entry.ts";
import { Empty } from "../parts/notes.tsx";
import { hrefOf } from "../route.ts";
import { targetOf } from "../target.ts";
import { isVisible } from "../visible.ts";

const LOOK_MS = 10_000;

/**
 * Says how to store the first entry in one of `all`, and looks now and then whether somebody did.
 * Nothing for who may not write.
 */
export function FirstEntry({
  all,
  onLook,
}: {
  readonly all: readonly Namespace[];
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
  const namespace = all.find(
    ({ name, status }) => status === NamespaceStatus.ACTIVE && mayUseNamespace(name, "write"),
  )?.name;
  if (namespace === undefined) {
    return null;
  }
  const target = targetOf(namespace);
  return (
    <Empty title="Nothing is stored yet" command={curlOfFirstEntry(target)}>
      <p>
        Store the first entry from a terminal, or{" "}
        <a href={hrefOf(["ns", namespace, "keys"])}>in the namespace {namespace}</a>.
        {target.asksWhoCalls && (
          <>
            {" "}
            The line takes your key from <code>PRISM_TOKEN</code>.
          </>
        )}
      </p>
    </Empty>
  );
}
