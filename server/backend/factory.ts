import { type Clock, createSystemClock } from "./clock.ts";
import type { BackendConfig } from "./config.ts";
import { type Backend, SILENT, type StoreLog } from "./contract.ts";
import { createBreakerBackend } from "./layers/breaker.ts";
import { createCoalescedBackend } from "./layers/coalesced.ts";
import { createGuardedBackend } from "./layers/guarded.ts";
import { createShardedBackend } from "./layers/sharded.ts";
import { createMemoryBackend } from "./memory/backend.ts";
import { createPostgresBackend } from "./postgres/backend.ts";
import { createRedisShards } from "./redis/backend.ts";
import { createRemoteBackend } from "./remote/backend.ts";
import { createSqliteBackend } from "./sqlite/backend.ts";

/** Makes the store that `config` describes, guarded and not yet open. The only module that knows every room. */
export function createBackend(
  config: BackendConfig,
  { clock = createSystemClock(), log = SILENT }: { readonly clock?: Clock; readonly log?: StoreLog } = {},
): Backend {
  return createGuardedBackend(createRoom(config, clock, log));
}

function createRoom(config: BackendConfig, clock: Clock, log: StoreLog): Backend {
  switch (config.type) {
    case "memory":
      return createMemoryBackend(config, { clock });
    case "sqlite":
      return createSqliteBackend(config, { clock, log });
    case "postgres":
      return createCoalescedBackend(createBreakerBackend(createPostgresBackend(config)));
    case "redis":
      // Each shard for itself, so that those whose node is away do not take the others with them.
      return createShardedBackend(
        createRedisShards(config).map((shard) => createCoalescedBackend(createBreakerBackend(shard))),
      );
    case "remote":
      return createRemoteBackend(config);
  }
}
