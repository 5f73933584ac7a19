import type { PartOfCall, PartTimer, StoreOperation } from "../backend/contract.ts";
import type { MethodRow } from "./methods.ts";
import { randomSpanId } from "./trace-context.ts";

/** The most parts of a call that are kept. A scan has one for each of its pages. */
const MAX_PARTS = 64;

/**
 * Where the time of one call goes. It is made only for a call that is traced, or while slow calls
 * are looked for. Times are on the clock of `performance.now()`.
 */
export class CallTimes implements PartTimer {
  /** When the request was read. What comes before depends on the caller. */
  readonly beganAtMs = performance.now();
  /** When the first message of a stream was ready. `undefined` = not yet, or no stream. */
  firstMessageAtMs: number | undefined = undefined;
  readonly #parts: Part[] = [];

  /** In the order in which they began; further ones than {@link MAX_PARTS} are left out. */
  get parts(): readonly Part[] {
    return this.#parts;
  }

  store(operation: StoreOperation): PartOfCall {
    return this.#begin(operation);
  }

  queue(): PartOfCall {
    return this.#begin(undefined);
  }

  /** The innermost call of a store that is under way. */
  get openStore(): Part | undefined {
    return this.#parts.findLast(({ operation, endedAtMs }) => operation && endedAtMs === undefined);
  }

  /**
   * The milliseconds of all waits in queues together, and of all calls of stores without them.
   * Parts that run at the same time count each. A part that goes on counts until `nowMs`.
   */
  sums(nowMs: number): { readonly queueMs: number; readonly storeMs: number } {
    let queueMs = 0;
    let storeMs = 0;
    for (const { operation, startedAtMs, endedAtMs = nowMs } of this.#parts) {
      if (operation === undefined) {
        queueMs += endedAtMs - startedAtMs;
      } else {
        storeMs += endedAtMs - startedAtMs;
      }
    }
    return { queueMs, storeMs: Math.max(0, storeMs - queueMs) };
  }

  #begin(operation: StoreOperation | undefined): PartOfCall {
    const part = new Part(operation, this.openStore);
    if (this.#parts.length < MAX_PARTS) {
      this.#parts.push(part);
    }
    return part;
  }
}

/** A call of a store, or a wait in a queue. */
export class Part implements PartOfCall {
  /** `undefined` = it is a wait in a queue. */
  readonly operation: StoreOperation | undefined;
  /** The call of a store that it is a part of; `undefined` = it is a part of the whole call. */
  readonly within: Part | undefined;
  readonly startedAtMs = performance.now();
  /** `undefined` = it goes on. */
  endedAtMs: number | undefined = undefined;
  #spanId: string | undefined;

  constructor(operation: StoreOperation | undefined, within: Part | undefined) {
    this.operation = operation;
    this.within = within;
  }

  /** Its own id in the call's trace. */
  get spanId(): string {
    this.#spanId ??= randomSpanId();
    return this.#spanId;
  }

  end(): void {
    this.endedAtMs = performance.now();
  }
}

/**
 * Whether calls of a method can be slow. Those that wait for something, or for further requests,
 * take as long as others let them.
 */
export function canBeSlow({ waits, kind }: MethodRow): boolean {
  return !waits && (kind === "unary" || kind === "server_streaming");
}

/**
 * The milliseconds by which a call counts as slow: from its request to its answer, and of a stream
 * to its first message, because what follows depends on the reader.
 */
export function answerMs({ beganAtMs, firstMessageAtMs }: CallTimes, nowMs: number): number {
  return (firstMessageAtMs ?? nowMs) - beganAtMs;
}
