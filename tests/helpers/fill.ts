import { createCall } from "../../server/backend/contract.ts";
import { createBackend } from "../../server/backend/factory.ts";
import type { BackendConfig } from "../../server/backend/rooms.ts";

/** The entries in one Set: as many as go in fast without a long pause of the process. */
const BATCH = 10_000;
const CALL = createCall();

/**
 * Writes `count` entries into the namespace `default` of a store that nobody serves now. Each is
 * asked for by its number, from 0 on.
 */
export async function fillStore(
  config: BackendConfig,
  count: number,
  entryOf: (i: number) => readonly [key: string, value: Uint8Array],
): Promise<void> {
  const backend = await createBackend(config);
  await backend.open();
  for (let from = 0; from < count; from += BATCH) {
    const entries = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => {
      const [key, value] = entryOf(from + i);
      return { key, value, ttlMs: 0 };
    });
    await backend.entries?.set("default", entries, CALL);
  }
  await backend.close();
}
