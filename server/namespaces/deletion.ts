import { setTimeout as delay } from "node:timers/promises";
import { type Backend, createCall, type StoreLog } from "../backend/contract.ts";
import { eraseAll } from "../backend/erase-all.ts";
import { createLane, within } from "../backend/lane.ts";
import { asPrismError, PrismError } from "../errors.ts";
import type { NamespaceCatalog, SavedNamespace } from "./catalog.ts";
import type { NamespaceRegistry } from "./registry.ts";

/** How long the steps of a deletion may take, in milliseconds. */
export interface DeletionTimes {
  /** For calls under way. No call that writes lasts longer. */
  readonly drainMs: number;
  /** Until other gateways have heard of it and have ended their calls that write. */
  readonly othersMs: number;
  /** The first pause after a failure; it doubles up to {@link MAX_RETRY_MS}. */
  readonly retryMs: number;
}

const TIMES: DeletionTimes = { drainMs: 15_000, othersMs: 17_000, retryMs: 1_000 };

const MAX_RETRY_MS = 60_000;

/** How long scans have to end once they were told to. */
const SCANS_END_MS = 1_000;

/** The most namespaces whose deletion is under way at a time. */
const MAX_UNDER_WAY = 256;

/** The most whose data is removed at a time, because it is the stores' work. */
const MAX_ERASING = 4;

/** What a {@link NamespaceDeletion} needs. */
export interface DeletionOptions {
  readonly registry: NamespaceRegistry;
  readonly catalog: NamespaceCatalog;
  readonly log: StoreLog;
  readonly times?: DeletionTimes;
  /** Whether it is still the one that is kept. */
  readonly isCurrent: (namespace: SavedNamespace) => boolean;
  /** Called with what a deletion waits for. It is tried again. */
  readonly onHeldUp: (namespace: SavedNamespace, message: string) => void;
  /** Forgets a namespace whose data is gone. */
  readonly remove: (namespace: SavedNamespace) => Promise<void>;
}

/** Removes namespaces and their data in the background, until each is gone. */
export class NamespaceDeletion {
  readonly #options: DeletionOptions;
  readonly #times: DeletionTimes;
  readonly #closing = new AbortController();
  /** Rejects when the server stops. */
  readonly #stop = Promise.withResolvers<never>();
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #places = createLane(MAX_UNDER_WAY);
  readonly #erasing = createLane(MAX_ERASING);

  constructor(options: DeletionOptions) {
    this.#options = options;
    this.#times = options.times ?? TIMES;
    // It stops also when nobody waits.
    this.#stop.promise.catch(() => {});
  }

  /** Deletes a namespace that is served and kept as `deleting`. Does nothing if it does already. */
  begin(namespace: SavedNamespace): void {
    const id = `${namespace.name} ${namespace.version}`;
    if (!this.#underWay.has(id) && !this.#closing.signal.aborted) {
      const work = this.#run(namespace).finally(() => this.#underWay.delete(id));
      this.#underWay.set(id, work);
    }
  }

  /** Ends the work, which the next start begins again. */
  async close(): Promise<void> {
    const reason = new PrismError("shutting_down", "the server is shutting down");
    this.#closing.abort(reason);
    this.#stop.reject(reason);
    await Promise.all(this.#underWay.values());
  }

  async #run(namespace: SavedNamespace): Promise<void> {
    const call = createCall(this.#closing.signal);
    await within(this.#places, call, () => this.#runToEnd(namespace)).catch(() => {
      // The server stops.
    });
  }

  async #runToEnd(namespace: SavedNamespace): Promise<void> {
    const { log, catalog, isCurrent, onHeldUp } = this.#options;
    const { signal } = this.#closing;
    let pauseMs = this.#times.retryMs;
    let isDrained = false;
    while (!signal.aborted && isCurrent(namespace)) {
      try {
        if (!isDrained) {
          await this.#drain(namespace.name);
          if (catalog.exclusively !== undefined) {
            await delay(this.#times.othersMs, undefined, { signal });
          }
          isDrained = true;
        }
        if (await this.#eraseOnce(namespace)) {
          log.info({ namespace: namespace.name }, "namespace is deleted");
          return;
        }
      } catch (thrown) {
        if (signal.aborted) {
          return;
        }
        const error = asPrismError(thrown);
        if (error.reason === "conflict" || error.reason === "namespace_not_found") {
          // Another gateway has finished it.
          return;
        }
        log.warn(
          { namespace: namespace.name, err: error },
          "a namespace's data cannot be removed now; it is tried again",
        );
        onHeldUp(namespace, error.message);
      }
      await delay(pauseMs, undefined, { signal }).catch(() => {});
      pauseMs = Math.min(2 * pauseMs, MAX_RETRY_MS);
    }
  }

  async #drain(name: string): Promise<void> {
    const { registry } = this.#options;
    const drain = (maxMs: number) => Promise.race([registry.drain(name, maxMs), this.#stop.promise]);
    if ((await drain(this.#times.drainMs)) > 0) {
      await registry.endScans(name);
      await drain(SCANS_END_MS);
    }
  }

  /** Answers false if another gateway is at it. */
  async #eraseOnce(namespace: SavedNamespace): Promise<boolean> {
    const { catalog } = this.#options;
    const { signal } = this.#closing;
    return await within(this.#erasing, createCall(signal), async () => {
      if (catalog.exclusively === undefined) {
        await this.#eraseAndRemove(namespace, signal);
        return true;
      }
      return await catalog.exclusively(namespace, (lost) =>
        this.#eraseAndRemove(namespace, AbortSignal.any([signal, lost])),
      );
    });
  }

  async #eraseAndRemove(namespace: SavedNamespace, signal: AbortSignal): Promise<void> {
    const { registry, isCurrent, remove } = this.#options;
    const backend = registry.find(namespace.name)?.backend;
    if (backend === undefined || !isCurrent(namespace)) {
      throw new PrismError("namespace_not_found", `namespace "${namespace.name}" is gone already`);
    }
    await eraseAll(eraserOf(backend), namespace.name, createCall(signal));
    await remove(namespace);
  }
}

/** How a store removes data. Throws {@link PrismError} `interface_unsupported` if it cannot. */
export function eraserOf({ type, erase }: Backend): NonNullable<Backend["erase"]> {
  if (erase === undefined) {
    throw new PrismError("interface_unsupported", `a ${type} backend cannot remove the data of a namespace`);
  }
  return erase;
}
