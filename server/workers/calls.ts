/** What the primary process and its workers ask of each other. */
import type { AddressInfo } from "node:net";
import type { BucketSize } from "../calls/policies/bucket.ts";
import type { Config } from "../config/config.ts";
import type { CatalogChanges, SavedNamespace } from "../namespaces/catalog.ts";
import type { Lease } from "../quota/leased-bucket.ts";
import type { Load } from "../services/admin.ts";
import type { Traffic } from "../services/traffic.ts";

/** A configuration on its way to a worker, which makes all the rest of it. */
export type ConfigSource = Pick<Config, "file" | "overridden" | "settings">;

/** What a worker answers. */
export type WorkerCalls = {
  /** Starts the worker, once. Answers where it listens. */
  start(config: ConfigSource): Promise<AddressInfo>;
  /**
   * Makes another configuration ready. Throws what it is refused for; nothing has changed then. The
   * next call about it is `decide`.
   */
  prepare(config: ConfigSource): Promise<void>;
  /** Puts what was made ready in force, or gives it up. Resolves when that is done. */
  decide(isAgreed: boolean): Promise<void>;
  /** The namespaces that are kept have changed. Resolves when its own calls see that. */
  namespaces(changes: CatalogChanges): Promise<void>;
  load(): Promise<Load>;
  /** What it has counted on the namespaces with these names; [] = on all. Absent = nothing. */
  traffic(names: readonly string[]): Promise<Traffic | undefined>;
  /** Its metrics, in Prometheus' text format. */
  metrics(): Promise<string>;
  /** The file of the audit log was moved away. */
  reopenAudit(): Promise<void>;
  /** Refuses new calls. Resolves when those under way have ended. */
  drain(): Promise<void>;
  /** Drains, closes everything, and ends. */
  stop(): Promise<void>;
};

/** What the primary answers. */
export type PrimaryCalls = {
  /** The namespaces that are kept. */
  savedNamespaces(): Promise<readonly SavedNamespace[]>;
  /** A part of a quota that the workers share. */
  lease(request: LeaseRequest): Promise<Lease>;
};

/** See `Lessor.lease`. */
export interface LeaseRequest {
  readonly name: string;
  readonly size: BucketSize;
  readonly want: number;
  readonly need: number;
}
