import type { CallOptions } from "../call.ts";
import { toText } from "../convert.ts";
import { concernsOneItem, KeyNotFoundError } from "../errors.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Get = (key: string, options?: CallOptions) => Promise<Bytes>;

/** A get that waits for the end of its turn. */
interface Waiting {
  readonly key: string;
  readonly resolve: (value: Bytes) => void;
  readonly reject: (error: unknown) => void;
}

/** Runs `task` after what is ready to run now. Browsers have no setImmediate. */
function afterTurn(task: () => void): void {
  const { setImmediate: soon } = globalThis as { setImmediate?: (task: () => void) => void };
  if (soon === undefined) {
    setTimeout(task, 0);
  } else {
    soon(task);
  }
}

/**
 * A `get` that makes one call of all gets in one turn of the event loop. One with options of its
 * own goes alone. Where the call of many fails for what one of them asks, or because the values are
 * too large together, each goes alone too.
 */
export function gatheredGets(
  get: Get,
  getMany: (keys: readonly string[]) => Promise<(Bytes | undefined)[]>,
  namespace: string,
): Get {
  let waiting: Waiting[] = [];

  async function answer(gets: readonly Waiting[]): Promise<void> {
    const [only] = gets;
    if (gets.length === 1 && only !== undefined) {
      await get(only.key).then(only.resolve, only.reject);
      return;
    }
    try {
      const values = await getMany(gets.map(({ key }) => key));
      for (const [index, { key, resolve, reject }] of gets.entries()) {
        const value = values[index];
        if (value === undefined) {
          reject(new KeyNotFoundError(key, { namespace }));
        } else {
          resolve(value);
        }
      }
    } catch (error) {
      const alone = concernsOneItem(error);
      for (const { key, resolve, reject } of gets) {
        if (alone) {
          get(key).then(resolve, reject);
        } else {
          reject(error);
        }
      }
    }
  }

  return async (key, options) => {
    if (options !== undefined) {
      return await get(key, options);
    }
    toText("key", key);
    return await new Promise<Bytes>((resolve, reject) => {
      if (waiting.push({ key, resolve, reject }) === 1) {
        afterTurn(() => {
          const gets = waiting;
          waiting = [];
          void answer(gets);
        });
      }
    });
  };
}
