import { effect, signal } from "@preact/signals";
import type { Namespace } from "../../gen/prism/control/v1/namespace_pb.ts";
import { createNamespaceReader, type NamespaceTable } from "./data/namespaces.ts";
import { freshness, gateway } from "./gateway.ts";
import { isAbsence, isDenial, type Problem, problemOf } from "./problem.ts";
import { isVisible } from "./visible.ts";

/** Changes that come at once are shown together. */
const GATHER_MS = 100;
/** Before a stream that broke is opened again. */
const AGAIN_MS = 1000;

/** The namespaces of the gateway as they are now. */
export interface LiveNamespaces extends NamespaceTable {
  /** Why they are not followed now; `undefined` also while the gateway is away. */
  readonly problem: Problem | undefined;
}

let reader = createNamespaceReader();
const namespaces = signal<LiveNamespaces>({ ...reader.table, problem: undefined });
let isFollowed = false;
let isGathering = false;

/**
 * The namespaces. From the first time on that a view asks, the gateway tells each change while
 * somebody may see the page. A component that calls this is drawn again when they change.
 */
export function liveNamespaces(): LiveNamespaces {
  if (!isFollowed) {
    isFollowed = true;
    effect(() => {
      freshness.value;
      if (!isVisible.value) {
        return;
      }
      const stopped = new AbortController();
      void follow(stopped.signal);
      return () => stopped.abort();
    });
  }
  return namespaces.value;
}

/** Shows what an answer tells of a namespace, without waiting until the stream tells it too. */
export function noteNamespace(namespace: Namespace | undefined): void {
  reader.take({ namespace, reset: false, synced: false, resumeToken: new Uint8Array() });
  namespaces.value = { ...reader.table, problem: namespaces.peek().problem };
}

/** Ends when `stopped`, or when the gateway says that it will not tell. */
async function follow(stopped: AbortSignal): Promise<void> {
  while (!stopped.aborted) {
    try {
      const { resumeToken } = reader;
      for await (const message of gateway.control.watchNamespaces({ resumeToken }, { signal: stopped })) {
        reader.take(message);
        showSoon();
      }
    } catch (thrown) {
      if (stopped.aborted) {
        return;
      }
      const problem = problemOf(thrown);
      if (isDenial(problem)) {
        reader = createNamespaceReader();
      }
      namespaces.value = { ...reader.table, problem: isAbsence(problem) ? undefined : problem };
      if (isDenial(problem)) {
        return;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

function showSoon(): void {
  if (!isGathering) {
    isGathering = true;
    setTimeout(() => {
      isGathering = false;
      namespaces.value = { ...reader.table, problem: undefined };
    }, GATHER_MS);
  }
}
