import { type Clock, createSystemClock } from "./clock.ts";
import { type Backend, SILENT, type StoreLog } from "./contract.ts";
import { createBlockingBackend } from "./layers/blocking.ts";
import { createBreakerBackend } from "./layers/breaker.ts";
import { createCoalescedBackend, createKeyCoalescedBackend } from "./layers/coalesced.ts";
import { createGuardedBackend } from "./layers/guarded.ts";
import { createMeasuredBackend } from "./layers/measured.ts";
import { createShardedBackend } from "./layers/sharded.ts";
import { createTailsBackend } from "./layers/tails.ts";
import { createWatchedBackend } from "./layers/watched.ts";
import type { Layer } from "./room.ts";
import { type BackendConfig, roomOf } from "./rooms.ts";
import type { StoreMeter } from "./store-meter.ts";

const LAYERS: Readonly<Record<Layer, (inner: Backend, meter: StoreMeter | undefined) => Backend>> = {
  breaker: (inner) => createBreakerBackend(inner),
  coalesced: createCoalescedBackend,
  coalescedByKey: (inner) => createKeyCoalescedBackend(inner),
  measured: (inner, meter) => (meter === undefined ? inner : createMeasuredBackend(inner, meter)),
  watched: createWatchedBackend,
};

/** What stores are given that not every one needs. */
export interface BackendTools {
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Default: none. */
  readonly log?: StoreLog;
  /** Counts its calls. Absent = nobody does. */
  readonly meter?: StoreMeter | undefined;
}

/**
 * Loads and makes the store that `config` describes, with its layers and the guard around it. It is
 * not open yet.
 */
export async function createBackend(
  config: BackendConfig,
  { clock = createSystemClock(), log = SILENT, meter }: BackendTools = {},
): Promise<Backend> {
  const room = roomOf(config.type);
  const shards = await room.create(config, { clock, log });
  const layered = shards.map((shard) =>
    room.layers.reduce((inner, layer) => LAYERS[layer](inner, meter), shard),
  );
  const guarded = createGuardedBackend(createShardedBackend(layered));
  return createTailsBackend(createBlockingBackend(guarded, log));
}
