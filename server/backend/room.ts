import type { z } from "zod";
import type { TlsFiles } from "../tls-files.ts";
import type { Clock } from "./clock.ts";
import type { Backend, StoreLog } from "./contract.ts";
import type { Diagnosis } from "./diagnosis.ts";

/** The options that every store has, checked. */
export interface StoreConfig {
  /** The room that the options belong to. */
  readonly type: string;
  /** For a store reached over TLS. One piece finds, checks and names the files for all stores. */
  readonly tls?: TlsFiles | undefined;
}

/** A layer that a room can ask for. `layers/` has one file for each. */
export type Layer = "breaker" | "coalesced" | "coalescedByKey" | "measured" | "watched";

/** What a store is given besides its options. */
export interface StoreTools {
  readonly clock: Clock;
  readonly log: StoreLog;
}

/** A configured store, as a room sees the others of its type. */
export interface ConfiguredStore<Config extends StoreConfig> {
  /** Its place in the configuration: `backends.main`. */
  readonly name: string;
  readonly config: Config;
}

/** Why a configured store cannot be used together with the others. */
export interface Clash<Config extends StoreConfig> {
  readonly store: ConfiguredStore<Config>;
  /** The option at fault. */
  readonly option: string;
  readonly message: string;
}

/**
 * What a room tells the rest of Prism about its store. Only `create` loads the store: reading a
 * configuration loads no driver.
 */
export interface Room<Config extends StoreConfig = StoreConfig> {
  /** The room's name, which is the `type` in the schema. */
  readonly type: Config["type"];
  /** The options in a configuration file. */
  readonly schema: z.ZodType<Config>;
  /** True: one process has the store for itself. Absent = several may have it open. */
  readonly ofOneProcess?: true;
  /**
   * The layers around each shard, the innermost first. `createBackend` adds the layers that every
   * store has.
   */
  readonly layers: readonly Layer[];
  /**
   * Loads and makes the store; it is not open yet. A store of several parts that can fail
   * separately answers all parts, always in the same order. Any other store answers one.
   */
  create(config: Config, tools: StoreTools): Promise<readonly Backend[]>;
  /**
   * Looks at the store for `prism doctor` without opening it: changes nothing, and makes nothing.
   * What it finds comes as it is found; what cannot be reached is a finding too. It ends what it
   * opened when its reader stops, and waits for nothing much longer than `timeoutMs`.
   */
  diagnose(config: Config, timeoutMs: number): AsyncGenerator<Diagnosis, void>;
  /**
   * Applies `absolute` to every file name in the options except those of `tls`. Absent = the
   * options name no files.
   */
  locate?(config: Config, absolute: (file: string) => string): Config;
  /**
   * Where the data is, for operators: without user and password. Absent = in this process's memory.
   */
  place?(config: Config): string;
  /**
   * Finds what only shows when all stores of this type are seen together. May look at files, but
   * opens none. Absent = nothing to find.
   */
  findClashes?(stores: readonly ConfiguredStore<Config>[]): readonly Clash<Config>[];
}
