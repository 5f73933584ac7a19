import { type Clock, createSystemClock } from "./clock.ts";
import { type Backend, SILENT, type StoreLog } from "./contract.ts";
import { createBlockingBackend } from "./layers/blocking.ts";
import { createBreakerBackend } from "./layers/breaker.ts";
import { createCoalescedBackend } from "./layers/coalesced.ts";
import { createGuardedBackend } from "./layers/guarded.ts";
import { createShardedBackend } from "./layers/sharded.ts";
import { createWatchedBackend } from "./layers/watched.ts";
import type { Layer } from "./room.ts";
import { type BackendConfig, roomOf } from "./rooms.ts";

const LAYERS: Readonly<Record<Layer, (inner: Backend) => Backend>> = {
  breaker: createBreakerBackend,
  coalesced: createCoalescedBackend,
  watched: createWatchedBackend,
};

/**
 * Loads and makes the store that `config` describes, with its layers and the guard around it. It is
 * not open yet.
 */
export async function createBackend(
  config: BackendConfig,
  { clock = createSystemClock(), log = SILENT }: { readonly clock?: Clock; readonly log?: StoreLog } = {},
): Promise<Backend> {
  const room = roomOf(config.type);
  const shards = await room.create(config, { clock, log });
  const layered = shards.map((shard) => room.layers.reduce((inner, layer) => LAYERS[layer](inner), shard));
  return createBlockingBackend(createGuardedBackend(createShardedBackend(layered)), log);
}
