import { type Connection, ConnectionStatuses } from "@platformatic/kafka";
import { storeError } from "../store-errors.ts";
import { type ProduceAnswers, type ProduceItem, produce } from "./produce.ts";

/** The most requests to one broker at a time, unless what waits is large. */
const MAX_UNDER_WAY = 2;

/** Batches that wait go out at once when they have so many bytes together. */
const MAX_REQUEST_BYTES = 4 * 1024 * 1024;

/** A connection that is so sends nothing more. */
const GONE: ReadonlySet<string> = new Set([
  ConnectionStatuses.CLOSED,
  ConnectionStatuses.CLOSING,
  ConnectionStatuses.ERROR,
]);

/** A batch that wants to go out. */
export interface Outgoing extends ProduceItem {
  /** How often it was sent without a certain answer. */
  doubts: number;
  /** True: nobody waits for it any more, so it is not sent. */
  readonly isSettled: boolean;
}

/** Batches that go out together. */
interface Request {
  readonly connection: Connection;
  readonly sends: Outgoing[];
  bytes: number;
  /** How long the broker may wait for the replicas. */
  timeoutMs: number;
  readonly answers: PromiseWithResolvers<ProduceAnswers>;
}

/**
 * The requests to one broker. It works on one at a time, so batches that come while two are under
 * way go out together in the next.
 */
export class RequestPipe {
  #underWay = 0;
  #next: Request | undefined;

  /**
   * Answers for these topics, and maybe others. Whether a batch was sent is seen by its `doubts`.
   */
  async send(connection: Connection, sends: readonly Outgoing[], timeoutMs: number): Promise<ProduceAnswers> {
    const next = this.#next;
    const request =
      next?.connection === connection && next.bytes < MAX_REQUEST_BYTES
        ? next
        : { connection, sends: [], bytes: 0, timeoutMs, answers: Promise.withResolvers<ProduceAnswers>() };
    for (const send of sends) {
      request.sends.push(send);
      request.bytes += send.batch.length;
    }
    request.timeoutMs = Math.max(request.timeoutMs, timeoutMs);
    if (request !== next) {
      if (next !== undefined) {
        this.#start(next);
      }
      this.#next = request;
    }
    if (this.#underWay < MAX_UNDER_WAY) {
      this.#startNext();
    }
    return await request.answers.promise;
  }

  #startNext(): void {
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) {
      this.#start(next);
    }
  }

  #start({ connection, sends, timeoutMs, answers }: Request): void {
    // The time of some was up before their turn.
    const open = sends.filter(({ isSettled }) => !isSettled);
    if (open.length === 0 || GONE.has(connection.status)) {
      answers.reject(storeError("store_unavailable", new Error("the connection was closed")));
      this.#startNext();
      return;
    }
    for (const send of open) {
      send.doubts++;
    }
    this.#underWay++;
    produce(connection, timeoutMs, open, (error, answer) => {
      this.#underWay--;
      // A connection that breaks gives null instead of an answer.
      const given = answer ?? undefined;
      if (given === undefined) {
        answers.reject(error);
      } else {
        answers.resolve(given);
      }
      this.#startNext();
    });
  }
}
