import type { z } from "zod";
import type { TlsFiles } from "../tls-files.ts";
import type { Clock } from "./clock.ts";
import type { Backend, StoreLog } from "./contract.ts";

/** What the checked options of every store have. */
export interface StoreConfig {
  /** Which room's they are. */
  readonly type: string;
  /** For a store that is reached over TLS. Its files are found, checked and told of in one way for all. */
  readonly tls?: TlsFiles | undefined;
}

/** A layer that a room can ask for around its store; `layers/` says what each does. */
export type Layer = "breaker" | "coalesced";

/** What a store is made with besides its options. */
export interface StoreTools {
  readonly clock: Clock;
  readonly log: StoreLog;
}

/** A configured store, as a room sees its neighbours of the same type. */
export interface ConfiguredStore<Config extends StoreConfig> {
  /** Where the operator finds it: `backends.main`. */
  readonly name: string;
  readonly config: Config;
}

/** Why a configured store cannot be used beside the others. */
export interface Clash<Config extends StoreConfig> {
  readonly store: ConfiguredStore<Config>;
  /** The option that is at fault. */
  readonly option: string;
  readonly message: string;
}

/**
 * What a room tells the rest of Prism about its store. Everything but `create` is known without loading
 * the store, so that reading a configuration loads no driver.
 */
export interface Room<Config extends StoreConfig = StoreConfig> {
  /** The room's name, and the `type` that the schema asks for. */
  readonly type: Config["type"];
  /** The options in a configuration file. */
  readonly schema: z.ZodType<Config>;
  /** The layers around each shard, the innermost first. `createBackend` adds those that every store has. */
  readonly layers: readonly Layer[];
  /**
   * Loads the store and makes it; it is not open yet. A store in several parts that may fail one by one
   * answers them all, in an order that never changes; any other answers one.
   */
  create(config: Config, tools: StoreTools): Promise<readonly Backend[]>;
  /** The same options, with `absolute` applied to every file name but those of `tls`. Absent = there are none. */
  locate?(config: Config, absolute: (file: string) => string): Config;
  /** What only shows among all stores of this type. May look at files, and opens none. Absent = nothing. */
  findClashes?(stores: readonly ConfiguredStore<Config>[]): readonly Clash<Config>[];
}
