/**
 * The entry of the thread with the writing connection. The rest of its work is in modules that
 * tests can import.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { DatabaseOptions } from "./database.ts";
import { type Failure, toFailure } from "./errors.ts";
import { MIGRATIONS } from "./migrations.ts";
import { unpackOperations } from "./packed-operations.ts";
import { type Answer, createStoreWriter } from "./store-writer.ts";

/** What the main thread sends: a packed group to apply, or the order to close and end. */
export type ToWriter = { readonly operations: Uint8Array<ArrayBuffer>; readonly nowMs: number } | "close";

/**
 * What the main thread receives: first whether the database is open, then one answer for each
 * group.
 */
export type FromWriter =
  | { readonly opened: { readonly refusal: Failure | undefined } }
  | { readonly openFailure: Failure }
  | Answer;

function run(port: NonNullable<typeof parentPort>): void {
  const answer = (message: FromWriter) => port.postMessage(message);
  try {
    const writer = createStoreWriter(workerData as DatabaseOptions, MIGRATIONS);
    port.on("message", (message: ToWriter) => {
      if (message === "close") {
        writer.close();
        port.close();
      } else {
        answer(writer.write(unpackOperations(message.operations), message.nowMs));
      }
    });
    answer({ opened: { refusal: writer.refusal } });
  } catch (error) {
    answer({ openFailure: toFailure(error) });
  }
}

if (parentPort !== null) {
  run(parentPort);
}
