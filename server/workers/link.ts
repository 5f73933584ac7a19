import { PrismError } from "../errors.ts";
import type { Reason } from "../reasons.ts";

/** The calls that one end answers. Each has one argument at most. */
export type LinkCalls = Readonly<Record<string, (argument: never) => Promise<unknown>>>;

/** The channel between two processes: a child's `process`, or a Worker of node:cluster. */
export interface Channel {
  send?(message: object, handle: undefined, options: undefined, sent: (error: Error | null) => void): boolean;
  on(event: "message", listener: (message: unknown) => void): unknown;
  on(event: "disconnect", listener: () => void): unknown;
}

/** The most milliseconds of a call, unless its caller says something else. */
const TIMEOUT_MS = 10_000;

interface Question {
  readonly id: number;
  readonly ask: string;
  readonly argument: unknown;
}

interface Answer {
  readonly answerTo: number;
  readonly answer?: unknown;
  readonly failure?: Failure;
}

/** What is told of an error. */
interface Failure {
  readonly message: string;
  /** Of a {@link PrismError}. */
  readonly reason?: Reason;
  /** Of Node's own error, for example of an address that is taken. */
  readonly syscall?: unknown;
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout | undefined;
}

/**
 * One end of the channel between the primary process and a worker. Each end asks and answers. What
 * a handler throws is thrown to who asked; a {@link PrismError} keeps its reason, and Node's error
 * its system call.
 */
export class Link<Here extends LinkCalls, There extends LinkCalls> {
  readonly #channel: Channel;
  readonly #handlers: Here;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  #isCut = false;

  constructor(channel: Channel, handlers: Here) {
    this.#channel = channel;
    this.#handlers = handlers;
    channel.on("message", (message) => {
      if (isQuestion(message)) {
        void this.#answer(message);
      } else if (isAnswer(message)) {
        this.#settle(message);
      }
    });
    channel.on("disconnect", () => {
      this.#isCut = true;
      for (const id of this.#waiting.keys()) {
        this.#fail(id, cut());
      }
    });
  }

  /**
   * Asks the other end. `timeoutMs` 0 = for as long as it lives. Throws {@link PrismError}
   * `store_unavailable` if it has ended, and `deadline_exceeded` if it takes too long.
   */
  ask<Name extends keyof There & string>(
    name: Name,
    argument: Parameters<There[Name]>[0],
    timeoutMs = TIMEOUT_MS,
  ): Promise<Awaited<ReturnType<There[Name]>>> {
    const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<There[Name]>>>();
    const id = ++this.#last;
    const late = () => this.#fail(id, new PrismError("deadline_exceeded", `"${name}" takes too long`));
    const timer = timeoutMs === 0 ? undefined : setTimeout(late, timeoutMs).unref();
    this.#waiting.set(id, {
      resolve: (answer) => resolve(answer as Awaited<ReturnType<There[Name]>>),
      reject,
      timer,
    });
    this.#send({ id, ask: name, argument }, () => this.#fail(id, cut()));
    return promise;
  }

  async #answer({ id, ask, argument }: Question): Promise<void> {
    const answer = await this.#handle(ask, argument).then(
      (given): Answer => ({ answerTo: id, answer: given }),
      (error: unknown): Answer => ({ answerTo: id, failure: failureOf(error) }),
    );
    // Who asked has ended if it cannot be sent.
    this.#send(answer, () => {});
  }

  async #handle(name: string, argument: unknown): Promise<unknown> {
    const handler = this.#handlers[name];
    if (handler === undefined) {
      throw new TypeError(`nobody answers "${name}"`);
    }
    // Both ends are of one program, and `ask` checks what it sends.
    return await handler(argument as never);
  }

  #send(message: Question | Answer, onLost: () => void): void {
    if (this.#isCut || this.#channel.send === undefined) {
      onLost();
      return;
    }
    this.#channel.send(message, undefined, undefined, (error) => {
      if (error) {
        onLost();
      }
    });
  }

  #settle({ answerTo, answer, failure }: Answer): void {
    if (failure !== undefined) {
      this.#fail(answerTo, errorOf(failure));
      return;
    }
    this.#take(answerTo)?.resolve(answer);
  }

  #fail(id: number, error: Error): void {
    this.#take(id)?.reject(error);
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }
}

function cut(): PrismError {
  return new PrismError("store_unavailable", "a process of the gateway has ended");
}

function failureOf(error: unknown): Failure {
  return {
    message: error instanceof Error ? error.message : String(error),
    ...(error instanceof PrismError && { reason: error.reason }),
    ...(error instanceof Error && "syscall" in error && { syscall: error.syscall }),
  };
}

function errorOf({ message, reason, syscall }: Failure): Error {
  return reason === undefined
    ? Object.assign(new Error(message), syscall !== undefined && { syscall })
    : new PrismError(reason, message);
}

function isQuestion(message: unknown): message is Question {
  return typeof message === "object" && message !== null && "ask" in message;
}

function isAnswer(message: unknown): message is Answer {
  return typeof message === "object" && message !== null && "answerTo" in message;
}
