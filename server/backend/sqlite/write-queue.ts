import { abortError, PrismError } from "../../errors.ts";
import type { Clock } from "../clock.ts";
import type { Call, PartOfCall } from "../contract.ts";
import type { Figures } from "../figures.ts";
import { type Failure, fromFailure } from "./errors.ts";
import { createExpectedAnswers } from "./expected-answers.ts";
import { isFailure, type Operation, type OperationOf, type Result, type Results } from "./operation.ts";
import { packOperations } from "./packed-operations.ts";
import type { Answer } from "./store-writer.ts";
import type { FromWriter, ToWriter } from "./writer.ts";

/** Most calls in one group: it bounds how long each waits for the others. */
const MAX_GROUP_CALLS = 1024;

/**
 * A group ends with the call that takes it to this many bytes or more, to write or expected in
 * answer.
 */
const MAX_GROUP_BYTES = 8 * 1024 * 1024;

/** Most calls that are not yet answered. */
const MAX_UNANSWERED_CALLS = 65_536;

/**
 * Most bytes of keys and values in them, and of the values that they are expected to answer. One
 * call is taken in whatever its size.
 */
const MAX_UNANSWERED_BYTES = 64 * 1024 * 1024;

/** What a call costs beside its bytes, roughly. */
const CALL_BYTES = 256;

/**
 * Hears of each group, so that it can tell what is on the disk from what may be. One group is under
 * way at a time.
 */
export interface GroupObserver {
  /** Before the group is sent: nothing of it has been done. */
  sending(operations: readonly Operation[], nowMs: number): void;
  /** What the group did is done, also where it failed. */
  answered(): void;
}

/** Hands writes to the writer's thread, in groups. */
export interface WriteQueue {
  /**
   * Resolves when the operation is on the disk. `bytes` is the size of what it carries; the
   * operation belongs to the queue from now on, so its values must not be views of a request's
   * buffer. Rejects with {@link PrismError}: `overloaded`; the abort's own error where `call` was
   * aborted before the operation was sent; `store_unavailable` or `outcome_unknown` where the
   * thread died before or after that; what SQLite said.
   */
  write<T extends Operation["type"]>(
    operation: OperationOf<T>,
    bytes: number,
    call?: Call,
  ): Promise<Results[T]>;
  /** Throws `store_unavailable` if the thread died. */
  check(): void;
  /** The writes that are not answered yet. */
  figures(): Figures;
  /** Why writes fail of late; `undefined` = they do not. */
  readonly refusal: Failure | undefined;
  /**
   * Answers everything that waits, then closes the database and ends the thread. Nothing may be
   * written after it.
   */
  close(): Promise<void>;
}

interface WaitingCall {
  readonly operation: Operation;
  readonly bytes: number;
  /** What its answer was expected to hold when it came, by answers that were seen. */
  readonly answerBytes: number;
  readonly call: Call | undefined;
  /** Its wait here, if the call is timed. */
  readonly wait: PartOfCall | undefined;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: PrismError) => void;
}

/** The part of a Worker that a {@link WriteQueue} needs. */
export interface WriterThread {
  on(event: "message", listener: (message: FromWriter) => void): unknown;
  on(event: "error", listener: (error: unknown) => void): unknown;
  on(event: "exit", listener: (code: number) => void): unknown;
  postMessage(message: ToWriter, transfer?: readonly ArrayBuffer[]): void;
}

/**
 * One group is with the thread at a time. Calls that arrive meanwhile are the next one: the slower
 * the disk, the more calls share one wait for it.
 *
 * @param worker Has opened the database already.
 * @param refusal Why writes fail from the start on.
 */
export function createWriteQueue(
  worker: WriterThread,
  clock: Clock,
  observers: readonly GroupObserver[],
  refusal?: Failure,
): WriteQueue {
  let lastRefusal = refusal;
  let waiting: WaitingCall[] = [];
  let sent: readonly WaitingCall[] = [];
  let unansweredBytes = 0;
  let answerBytes = 0;
  let scheduled = false;
  let death: { readonly cause: unknown } | undefined;
  let whenAnswered: (() => void) | undefined;
  const ended = new Promise<void>((resolve) => worker.on("exit", () => resolve()));

  const expected = createExpectedAnswers();

  worker.on("message", (message) => {
    if ("outcomes" in message) {
      answerSent(message);
    }
  });
  worker.on("error", (error) => die(error));
  worker.on("exit", (code) => die(new Error(`the writer's thread ended with code ${code}`)));

  function answerSent({ outcomes, refusal }: Answer): void {
    lastRefusal = refusal;
    const calls = sent;
    sent = [];
    tellAnswered();
    expected.learn(calls, outcomes);
    calls.forEach((call, i) => {
      const outcome = outcomes[i];
      forget(call);
      if (isFailure(outcome)) {
        call.reject(fromFailure(outcome));
      } else {
        call.resolve(outcome);
      }
    });
    sendNext();
  }

  function tellAnswered(): void {
    for (const observer of observers) {
      observer.answered();
    }
  }

  function forget(call: WaitingCall): void {
    unansweredBytes -= call.bytes;
    answerBytes -= call.answerBytes;
  }

  function die(cause: unknown): void {
    if (death !== undefined) {
      return;
    }
    death = { cause };
    for (const call of sent) {
      call.reject(new PrismError("outcome_unknown", DIED_DURING, { cause }));
    }
    for (const call of waiting) {
      call.reject(dead(cause));
    }
    sent = [];
    waiting = [];
    tellAnswered();
    whenAnswered?.();
  }

  /**
   * Waits for the end of this turn of the event loop, so that calls that arrived in it share a
   * group.
   */
  function schedule(): void {
    if (scheduled || sent.length > 0) {
      return;
    }
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      if (sent.length === 0) {
        sendNext();
      }
    });
  }

  function sendNext(): void {
    sent = takeGroup();
    if (sent.length > 0) {
      const operations = sent.map(({ operation }) => operation);
      const nowMs = clock.now();
      for (const observer of observers) {
        observer.sending(operations, nowMs);
      }
      const bytes = sent.reduce((sum, call) => sum + call.bytes, 0);
      const packed = packOperations(operations, bytes);
      worker.postMessage({ operations: packed, nowMs }, [packed.buffer]);
    } else {
      whenAnswered?.();
    }
  }

  function takeGroup(): readonly WaitingCall[] {
    const group: WaitingCall[] = [];
    let bytes = 0;
    let taken = 0;
    for (const next of waiting) {
      if (group.length >= MAX_GROUP_CALLS || bytes >= MAX_GROUP_BYTES) {
        break;
      }
      taken++;
      next.wait?.end();
      if (next.call?.aborted === true) {
        forget(next);
        next.reject(abortError(next.call.signal));
      } else {
        group.push(next);
        bytes += next.bytes + expected.largestOf(next.operation);
      }
    }
    waiting = taken === waiting.length ? [] : waiting.slice(taken);
    return group;
  }

  /** Whether there is room for one more call with so many bytes, the expected ones included. */
  function hasRoom(bytes: number): boolean {
    const calls = waiting.length + sent.length;
    const isSmall = unansweredBytes + answerBytes + bytes <= MAX_UNANSWERED_BYTES;
    return calls < MAX_UNANSWERED_CALLS && (calls === 0 || isSmall);
  }

  function check(): void {
    if (death !== undefined) {
      throw dead(death.cause);
    }
  }

  return {
    async write(operation, operationBytes, call) {
      check();
      const bytes = operationBytes + CALL_BYTES;
      // Whole numbers, because sums of others would drift.
      const expectedBytes = Math.ceil(expected.meanOf(operation));
      if (!hasRoom(bytes + expectedBytes)) {
        throw new PrismError("overloaded", "too many writes wait for the store");
      }
      unansweredBytes += bytes;
      answerBytes += expectedBytes;
      return new Promise((resolve, reject) => {
        // The writer answers each operation with the result of its type.
        const wait = call?.trace?.times?.queue();
        waiting.push({
          operation,
          bytes,
          answerBytes: expectedBytes,
          call,
          wait,
          resolve: resolve as WaitingCall["resolve"],
          reject,
        });
        schedule();
      });
    },
    check,
    figures: () => ({ queuedCalls: waiting.length + sent.length, queuedBytes: unansweredBytes }),
    get refusal() {
      return lastRefusal;
    },
    async close() {
      if (waiting.length + sent.length > 0) {
        await new Promise<void>((resolve) => (whenAnswered = resolve));
      }
      if (death === undefined) {
        worker.postMessage("close");
      }
      await ended;
    },
  };
}

const DIED_DURING = "the store failed during the write; it may or may not have taken effect";

function dead(cause: unknown): PrismError {
  return new PrismError("store_unavailable", "the store failed and has to be opened again", { cause });
}
