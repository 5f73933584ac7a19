/**
 * Owns the chunks that the socket brought, and reads their frames in the connection's share of each
 * turn.
 */
import type { Duplex } from "node:stream";
import type { ControlBudget } from "./control-budget.ts";
import type { Ending } from "./ending.ts";
import { ConnectionError, ErrorCode } from "./errors.ts";
import type { FrameHandler } from "./frame-handler.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import type { Limits } from "./limits.ts";
import type { Output } from "./output.ts";
import type { Role } from "./role.ts";
import { TurnShare } from "./turn-share.ts";

/**
 * The time is looked at after so many frames, a power of two: for each of them it would cost too
 * much.
 */
const LOOK_EVERY = 4;

/** What the receiver needs of its connection. */
interface ReceiverParts {
  readonly socket: Duplex;
  readonly limits: Limits;
  readonly budget: ControlBudget;
  readonly output: Output;
  readonly handler: FrameHandler;
  readonly ending: Ending;
  readonly role: Role;
  /** A defect of ours. */
  reportError(error: unknown): void;
}

/**
 * Reads what comes, until the connection ends. A client reads all at once, a server takes turns.
 */
export class Receiver implements FrameSink {
  readonly #parts: ReceiverParts;
  readonly #handler: FrameHandler;
  readonly #ending: Ending;
  readonly #isClient: boolean;
  readonly #reader: FrameReader;
  readonly #turn = new TurnShare(() => this.#readHeld());
  /** Chunks that are not read yet, the first of them from `#readTo` on. */
  readonly #held: Buffer[] = [];
  #readTo = 0;
  #reading = false;
  #frames = 0;
  #receivedAt = performance.now();

  constructor(parts: ReceiverParts, isClient: boolean) {
    this.#parts = parts;
    this.#handler = parts.handler;
    this.#ending = parts.ending;
    this.#isClient = isClient;
    this.#reader = new FrameReader(parts.limits.maxFrameBytes, !isClient);
    parts.socket.on("data", (chunk: Buffer) => this.#receive(chunk));
  }

  /** The preface and SETTINGS of the peer came. */
  get started(): boolean {
    return this.#reader.started;
  }

  /** When the last chunk came, by `performance.now()`. */
  get receivedAt(): number {
    return this.#receivedAt;
  }

  /** For the frame reader. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean {
    this.#handler.handle(type, flags, streamId, bytes, start, end, this.#receivedAt);
    if (this.#ending.ended) {
      return false;
    }
    return this.#isClient || ++this.#frames % LOOK_EVERY !== 0 || this.#turn.goesOn();
  }

  #receive(chunk: Buffer): void {
    if (this.#ending.ended) {
      return;
    }
    this.#held.push(chunk);
    // A socket in this process may answer from within a write of ours.
    if (!this.#reading && !this.#turn.waiting) {
      this.#readHeld();
    }
  }

  #readHeld(): void {
    const { budget, role, output, limits, socket } = this.#parts;
    const now = performance.now();
    this.#reading = true;
    this.#receivedAt = now;
    budget.setTime(now);
    this.#turn.begin(now);
    role.chunkBegins();
    while (this.#held[0] !== undefined && !this.#turn.waiting && !this.#ending.ended) {
      this.#readChunk(this.#held[0]);
    }
    if (this.#ending.ended) {
      this.#held.length = 0;
    }
    this.#reading = false;
    if (output.waitingBytes > limits.maxOutputBytes) {
      this.#ending.cut(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "the peer does not read"));
    }
    if (this.#turn.waiting) {
      socket.pause();
    } else if (socket.isPaused()) {
      socket.resume();
    }
  }

  /** Reads the rest of the first chunk that is held, or as much of it as the turn has time for. */
  #readChunk(chunk: Buffer): void {
    try {
      this.#readTo = this.#reader.push(chunk, this, this.#readTo);
    } catch (error) {
      if (error instanceof ConnectionError) {
        this.#ending.fail(error.code, error.message, error);
      } else {
        this.#ending.fail(ErrorCode.INTERNAL_ERROR, "", error as Error);
        this.#parts.reportError(error);
      }
    }
    if (this.#readTo === chunk.length) {
      this.#held.shift();
      this.#readTo = 0;
    }
  }
}
