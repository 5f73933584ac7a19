import type { DescService } from "@bufbuild/protobuf";
import type { AnyBatch } from "./columns.ts";
import type { MethodRow } from "./methods.ts";
import type { PolicyChain } from "./policies/policy.ts";
import type { CallRecord } from "./record.ts";
import type { CallScope } from "./scope.ts";

interface AnyMethod {
  readonly row: MethodRow;
  /**
   * `run` and `open` tell it how the call ended. If a call does not get that far, whoever answers
   * it does.
   */
  readonly policies: PolicyChain;
}

/** A unary method: its handler within the policies, ready to be called with a request. */
export interface UnaryMethod extends AnyMethod {
  readonly kind: "unary";
  /**
   * Runs the handler within the policies, passes the response to `encode` and closes the scope.
   * Throws ConnectError, ready for the wire. A response that cannot be encoded is an internal
   * error.
   */
  run<T>(
    request: object,
    record: CallRecord,
    scope: CallScope,
    encode: (response: object) => T | Promise<T>,
  ): Promise<T>;
}

/** A method with a stream of responses. */
export interface StreamMethod extends AnyMethod {
  readonly kind: "stream";
  /**
   * Starts the handler. When the stream ends the policies are told once and the scope is closed.
   * `encode` as for `run`.
   */
  open<T>(
    request: object,
    record: CallRecord,
    scope: CallScope,
    encode: (batch: AnyBatch) => T | Promise<T>,
  ): Batches<T>;
}

/** A method of either type. */
export type ServedMethod = UnaryMethod | StreamMethod;

/** The encoded responses of a call, batch by batch. */
export interface Batches<T> {
  /**
   * The next batch; `undefined` = the end. Throws ConnectError, ready for the wire. One at a time.
   */
  next(): Promise<T | undefined>;
  /** Waits for the reader. Throws as `next` does if the call aborts first. */
  wait(work: Promise<void>): Promise<void>;
  /** Ends the handler because nobody reads on. Does nothing if the stream has ended. */
  close(): void;
}

/** A service and its methods, ready to be called. */
export interface ServiceMethods {
  readonly service: DescService;
  /** One for each method of the service. */
  readonly methods: readonly ServedMethod[];
}
