import {
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  getOption,
  type MessageInitShape,
  type MessageShape,
  ScalarType,
} from "@bufbuild/protobuf";
import { timeout_ms as timeoutMsOption } from "../../gen/prism/options_pb.ts";
import type { Call } from "../backend/contract.ts";
import { abortError, asPrismError, PrismError } from "../errors.ts";
import type { AnyBatch, Batch } from "./columns.ts";
import type { LargeAnswers } from "./large-answers.ts";
import type { CallLog, CallRecord } from "./record.ts";
import type { CallScope } from "./scope.ts";
import { toConnectError } from "./status.ts";

/**
 * A handler of one method: takes the request, answers or throws {@link PrismError}. It knows no protocol. A stream is answered
 * in batches, because what is done for each message on its own costs more than the message.
 */
export type Handler<Method extends DescMethod> =
  Method extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, call: Call) => Promise<MessageInitShape<O>>
    : Method extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, call: Call) => AsyncIterable<Batch<O>>
      : Method extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageShape<I>>, call: Call) => Promise<MessageInitShape<O>>
        : Method extends DescMethodBiDiStreaming<infer I, infer O>
          ? (requests: AsyncIterable<MessageShape<I>>, call: Call) => AsyncIterable<Batch<O>>
          : never;

/** The handlers of a service: every method has one. */
export type Handlers<Service extends DescService> = {
  [K in keyof Service["method"]]: Handler<Service["method"][K]>;
};

/** What is done around every handler. */
export interface CallPolicy {
  readonly log: CallLog;
  /** Most that any call may take, whatever it asks for; 0 = no such bound. */
  readonly maxTimeoutMs: number;
  /** When answers that are large are made, and whether. */
  readonly large: LargeAnswers;
}

/** An answer with a value of this size or less is made at once, and so is the first page of a stream. */
const SMALL_ANSWER_BYTES = 16 * 1024;

type AnyUnary = (request: unknown, call: Call) => Promise<object>;
type AnyStream = (request: unknown, call: Call) => AsyncIterable<AnyBatch>;

interface AnyMethod {
  readonly method: DescMethod;
  /** The method's own bound on a call, in milliseconds; 0 = none. */
  readonly timeoutMs: number;
}

/** A unary method with its handler in the policies, ready to be called by whoever has read a request. */
export interface UnaryMethod extends AnyMethod {
  readonly kind: "unary";
  /**
   * Runs the handler, makes of its response what `encode` does, and logs the outcome; closes the scope. Throws ConnectError, ready
   * for the wire; a response that cannot be encoded is an internal error.
   */
  run<T>(
    request: unknown,
    record: CallRecord,
    scope: CallScope,
    encode: (response: object) => T | Promise<T>,
  ): Promise<T>;
}

/** The same with a stream of responses. */
export interface StreamMethod extends AnyMethod {
  readonly kind: "stream";
  /** Starts the handler. The outcome is logged once, when the stream ends; then the scope is closed. `encode` as for `run`. */
  open<T>(
    request: unknown,
    record: CallRecord,
    scope: CallScope,
    encode: (batch: AnyBatch) => T | Promise<T>,
  ): Batches<T>;
}

/** The responses of a call as they come, encoded. */
export interface Batches<T> {
  /** The next ones; `undefined` = that was all. Throws ConnectError, ready for the wire. One at a time. */
  next(): Promise<T | undefined>;
  /** Waits for the reader. Throws as `next` does, when the call is aborted before. */
  wait(work: Promise<void>): Promise<void>;
  /** Nobody reads on; ends the handler too. No effect where the stream has ended. */
  close(): void;
}

/** A service and its methods, ready to be called. */
export interface ServiceMethods {
  readonly service: DescService;
  /** One for each method of the service. */
  readonly methods: readonly (UnaryMethod | StreamMethod)[];
}

/**
 * Wraps the handlers of a service in the policies that every call is under: deadline, cancellation, errors to
 * codes, one log line.
 */
export function implement<Service extends DescService>(
  service: Service,
  handlers: Handlers<Service>,
  policy: CallPolicy,
): ServiceMethods {
  const methods = service.methods.map((method) => {
    const handler = handlers[method.localName as keyof Handlers<Service>];
    const timeoutMs = shortest(getOption(method, timeoutMsOption), policy.maxTimeoutMs);
    return method.methodKind === "unary" || method.methodKind === "client_streaming"
      ? wrapUnary(method, handler as AnyUnary, timeoutMs, policy)
      : wrapStream(method, handler as AnyStream, timeoutMs, policy);
  });
  return { service, methods };
}

function wrapUnary(
  method: DescMethod,
  handler: AnyUnary,
  timeoutMs: number,
  { log, large }: CallPolicy,
): UnaryMethod {
  const bytesOf = valueBytesOf(method.output);
  return {
    kind: "unary",
    method,
    timeoutMs,
    async run(request, record, scope, encode) {
      record.enter(request);
      try {
        const response = await scope.race(handler(request, scope));
        const bytes = bytesOf(response);
        if (bytes > SMALL_ANSWER_BYTES) {
          await scope.race(admit(bytes, large));
        }
        const encoded = encode(response);
        const answer = encoded instanceof Promise ? await encoded : encoded;
        log(method, record, undefined);
        return answer;
      } catch (thrown) {
        const error = asPrismError(thrown);
        log(method, record, error);
        throw toConnectError(error, record);
      } finally {
        scope.close();
      }
    },
  };
}

/** Waits for a large answer's turn. Throws {@link PrismError} where there is no memory for it then. */
async function admit(bytes: number, large: LargeAnswers): Promise<void> {
  await large.turn(bytes);
  if (!large.unsent.hasRoom(bytes)) {
    throw new PrismError("overloaded", "more answers wait for their callers than there is memory for");
  }
}

/** The bytes of the values in a response, which are what can be large in it. */
function valueBytesOf({ fields }: DescMessage): (response: object) => number {
  const names = fields
    .filter((field) => field.fieldKind === "scalar" && field.scalar === ScalarType.BYTES)
    .map(({ localName }) => localName);
  return (response) => {
    let bytes = 0;
    for (const name of names) {
      const value = (response as Readonly<Record<string, unknown>>)[name];
      bytes += value instanceof Uint8Array ? value.length : 0;
    }
    return bytes;
  };
}

function wrapStream(
  method: DescMethod,
  handler: AnyStream,
  timeoutMs: number,
  { log, large }: CallPolicy,
): StreamMethod {
  let pageBytes = SMALL_ANSWER_BYTES;
  return {
    kind: "stream",
    method,
    timeoutMs,
    open(request, record, scope, encode) {
      record.enter(request);
      let iterator: AsyncIterator<AnyBatch> | undefined;
      // A handler may throw before it answers with a stream. A batch itself is forgotten before a slow reader takes its time.
      const nextBatch = async () => {
        await large.turn(pageBytes);
        iterator ??= handler(request, scope)[Symbol.asyncIterator]();
        const { done, value } = await iterator.next();
        if (done === true) {
          return undefined;
        }
        const encoded = await encode(value);
        if (encoded instanceof Uint8Array) {
          // One that is larger than expected counts at once: the next may be as large.
          pageBytes = Math.max(encoded.length, pageBytes + (encoded.length - pageBytes) / 8);
        }
        return encoded;
      };
      let open = true;
      const end = (error: PrismError | undefined) => {
        if (open) {
          open = false;
          log(method, record, error);
          scope.close();
          // Not awaited: a `next()` that hangs would hold this up for ever.
          iterator?.return?.().catch(() => {});
        }
      };
      const guard = async <T>(work: Promise<T>): Promise<T> => {
        try {
          return await scope.race(work);
        } catch (thrown) {
          const error = asPrismError(thrown);
          end(error);
          throw toConnectError(error, record);
        }
      };
      // A reader that leaves while it owes us room may never ask for more.
      scope.signal.addEventListener("abort", () => end(abortError(scope.signal)));
      return {
        async next() {
          const encoded = await guard(nextBatch());
          if (encoded === undefined) {
            end(undefined);
          }
          return encoded;
        },
        wait: guard,
        close: () => end(new PrismError("canceled", "the caller left")),
      };
    },
  };
}

/** The shorter of two bounds of which 0 means none. */
function shortest(a: number, b: number): number {
  return a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b);
}
