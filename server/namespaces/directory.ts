import { isDeepStrictEqual } from "node:util";
import type { Call } from "../backend/contract.ts";
import { abortError, PrismError } from "../errors.ts";
import type { SavedNamespace } from "./catalog.ts";

/** The state of a namespace on this gateway. */
export type NamespaceState = "provisioning" | "active" | "degraded" | "deleting" | "deleted";

/** A namespace as operators see it. */
export interface ListedNamespace extends Omit<SavedNamespace, "deleting"> {
  /** Where it is from. That of the configuration file has version 0. */
  readonly source: "file" | "saved";
  readonly state: NamespaceState;
  /** Why it is degraded, or what holds up its deletion. "" = nothing to say. */
  readonly stateMessage: string;
}

/** The most changes that are remembered for those who follow them. */
const MAX_CHANGES = 4096;

/** The most calls that wait for a change. */
const MAX_FOLLOWERS = 1024;

/** Every namespace that this gateway knows, by name, and what changed of late. */
export class NamespaceDirectory {
  readonly #all = new Map<string, ListedNamespace>();
  /** The names in order; `undefined` = they have to be sorted first. */
  #sorted: readonly string[] | undefined = [];
  /** The last changes, the oldest first. The last one has the number `revision`. */
  #changes: ListedNamespace[] = [];
  #revision = 0;
  readonly #waiting = new Set<() => void>();
  #ended: PrismError | undefined;

  /** The number of changes so far. */
  get revision(): number {
    return this.#revision;
  }

  get(name: string): ListedNamespace | undefined {
    return this.#all.get(name);
  }

  /** The first `limit` behind the name `after`, in the order of the names. "" = from the start. */
  page(after: string, limit: number): readonly ListedNamespace[] {
    this.#sorted ??= [...this.#all.keys()].sort();
    const first = placeBehind(this.#sorted, after);
    return this.#sorted.slice(first, first + limit).flatMap((name) => this.#all.get(name) ?? []);
  }

  /** Adds or replaces one, if it is not the same. A deleted one is told and forgotten. */
  put(namespace: ListedNamespace): void {
    const { name } = namespace;
    if (isDeepStrictEqual(namespace, this.#all.get(name))) {
      return;
    }
    if (namespace.state === "deleted") {
      this.#all.delete(name);
      this.#sorted = undefined;
    } else {
      this.#sorted = this.#all.has(name) ? this.#sorted : undefined;
      this.#all.set(name, namespace);
    }
    this.#revision++;
    this.#changes.push(namespace);
    if (this.#changes.length >= 2 * MAX_CHANGES) {
      this.#changes = this.#changes.slice(-MAX_CHANGES);
    }
    this.#wake();
  }

  /** At most `limit` changes behind `revision`, in order. `undefined` = they are forgotten. */
  changesBehind(revision: number, limit: number): readonly ListedNamespace[] | undefined {
    const oldest = this.#revision - this.#changes.length;
    return revision < oldest || revision > this.#revision
      ? undefined
      : this.#changes.slice(revision - oldest, revision - oldest + limit);
  }

  /** Resolves at the next change. Rejects if the call ends first, or nobody may follow any more. */
  async changed({ signal }: Call): Promise<void> {
    if (this.#ended !== undefined) {
      throw this.#ended;
    }
    if (this.#waiting.size >= MAX_FOLLOWERS) {
      throw new PrismError("overloaded", "too many calls follow the namespaces");
    }
    if (signal.aborted) {
      throw abortError(signal);
    }
    const { promise, resolve: wake } = Promise.withResolvers<void>();
    const onAbort = () => wake();
    this.#waiting.add(wake);
    signal.addEventListener("abort", onAbort);
    await promise;
    this.#waiting.delete(wake);
    signal.removeEventListener("abort", onAbort);
    if (signal.aborted || this.#ended !== undefined) {
      throw this.#ended ?? abortError(signal);
    }
  }

  /** Ends those who follow. */
  end(): void {
    this.#ended = new PrismError("shutting_down", "the server is shutting down");
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) {
      wake();
    }
  }
}

/** The place of the first name behind `after` in sorted names. */
function placeBehind(sorted: readonly string[], after: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? "") <= after) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
