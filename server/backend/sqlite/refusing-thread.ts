import { EventEmitter } from "node:events";
import type { Failure } from "./errors.ts";
import { unpackOperations } from "./packed-operations.ts";
import type { WriterThread } from "./write-queue.ts";
import type { ToWriter } from "./writer.ts";

/**
 * Replaces the writer's thread when the database is open for reading only: each write fails with
 * `refusal`.
 */
export function createRefusingThread(refusal: Failure): WriterThread {
  const events = new EventEmitter();
  return {
    on: events.on.bind(events),
    postMessage(message: ToWriter) {
      setImmediate(() => {
        if (message === "close") {
          events.emit("exit", 0);
        } else {
          const outcomes = unpackOperations(message.operations).map(() => refusal);
          events.emit("message", { outcomes, refusal });
        }
      });
    },
  };
}
