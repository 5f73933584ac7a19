import type { DescService } from "@bufbuild/protobuf";
import type { AnyBatch } from "./columns.ts";
import type { MethodRow } from "./methods.ts";
import type { PolicyChain } from "./policies/policy.ts";
import type { CallRecord } from "./record.ts";
import type { CallScope } from "./scope.ts";

interface AnyMethod {
  readonly row: MethodRow;
  /** Told by `run` and `open` how the call ended; where a call does not get as far, by whoever answers it. */
  readonly policies: PolicyChain;
}

/** A unary method with its handler in the policies, ready to be called by whoever has read a request. */
export interface UnaryMethod extends AnyMethod {
  readonly kind: "unary";
  /**
   * Runs the handler within the policies, and makes of its response what `encode` does; closes the scope. Throws
   * ConnectError, ready for the wire; a response that cannot be encoded is an internal error.
   */
  run<T>(
    request: object,
    record: CallRecord,
    scope: CallScope,
    encode: (response: object) => T | Promise<T>,
  ): Promise<T>;
}

/** The same with a stream of responses. */
export interface StreamMethod extends AnyMethod {
  readonly kind: "stream";
  /** Starts the handler. The policies are told once when the stream ends; then the scope is closed. `encode` as for `run`. */
  open<T>(
    request: object,
    record: CallRecord,
    scope: CallScope,
    encode: (batch: AnyBatch) => T | Promise<T>,
  ): Batches<T>;
}

/** A method of either kind. */
export type ServedMethod = UnaryMethod | StreamMethod;

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
  readonly methods: readonly ServedMethod[];
}
