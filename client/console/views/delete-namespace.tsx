import {
  type Namespace,
  NamespaceSource,
  NamespaceStatus,
} from "../../../gen/prism/control/v1/namespace_pb.ts";
import { mayManageNamespaces } from "../caller.ts";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { noteNamespace } from "../namespaces.ts";
import { ask } from "../parts/dialog.tsx";
import { ProblemNote } from "../parts/notes.tsx";
import { tell } from "../parts/toasts.tsx";

/** Deletes a namespace, where that can be done and its reader may do it. */
export function DeleteNamespace({ namespace }: { readonly namespace: Namespace }) {
  const { name, version, source, status } = namespace;
  const remove = useAction(async () => {
    const request = { namespace: name, confirmNamespace: name, version };
    noteNamespace((await gateway.control.deleteNamespace(request)).namespace);
    tell(`The namespace ${name} is being deleted`);
  });
  async function askAndRemove(): Promise<void> {
    const yes = await ask({
      title: `Delete the namespace ${name}?`,
      text: "All its entries, lists and records are deleted with it. Nobody can bring them back.",
      yes: "Delete it",
      typed: name,
    });
    if (yes) {
      await remove.run();
    }
  }
  if (!mayManageNamespaces("admin")) {
    return null;
  }
  return (
    <section class="card" aria-labelledby="about-delete">
      <h2 id="about-delete">Delete</h2>
      {source === NamespaceSource.FILE && (
        <p class="quiet">It is from the configuration file: take it out there to end it. Its data stays.</p>
      )}
      {source !== NamespaceSource.FILE && status === NamespaceStatus.DELETING && (
        <p class="quiet">It is being deleted.</p>
      )}
      {source !== NamespaceSource.FILE && status !== NamespaceStatus.DELETING && (
        <>
          <p class="quiet">Deletes the namespace and all its data.</p>
          <button type="button" class="danger" disabled={remove.isRunning} onClick={askAndRemove}>
            Delete namespace …
          </button>
        </>
      )}
      <ProblemNote problem={remove.problem} />
    </section>
  );
}
