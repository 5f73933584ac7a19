import type { Outcome } from "../data/key-write.ts";
import { tell } from "../parts/toasts.tsx";
import { problemOf } from "../problem.ts";

/**
 * Takes a delete back and says so. `write` writes what was deleted where nothing is there now. If
 * that fails, it can be tried again.
 */
export async function putBack<T>(
  shown: string,
  write: () => Promise<Outcome<T>>,
  onDone: () => void,
): Promise<void> {
  try {
    const outcome = await write();
    if (outcome.kind === "conflict") {
      tell(`${shown} is not put back: somebody has made it anew`);
      return;
    }
    onDone();
    tell(`${shown} is there again`);
  } catch (thrown) {
    tell(`${shown} is not put back: ${problemOf(thrown).message}`, () => void putBack(shown, write, onDone));
  }
}
