import {
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type MessageInitShape,
  type MessageShape,
  ScalarType,
} from "@bufbuild/protobuf";
import type { Call } from "../backend/contract.ts";
import { asPrismError, PrismError } from "../errors.ts";
import type { Batch } from "./columns.ts";
import type { LargeAnswers } from "./large-answers.ts";
import { type MethodRow, readMethod } from "./methods.ts";
import { type Policy, PolicyChain } from "./policies/policy.ts";
import type { ServedMethod, ServiceMethods, StreamMethod, UnaryMethod } from "./served-method.ts";
import { toConnectError } from "./status.ts";
import { type AnyStream, StreamCall } from "./stream-call.ts";

/**
 * A handler of one method. It takes the request and answers, or throws {@link PrismError}. It knows
 * no protocol. A stream is answered in batches, because work for each single message would cost
 * more than the message.
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

/** What surrounds every handler. */
export interface CallSettings {
  /** In the order in which they begin. */
  readonly policies: readonly Policy[];
  /** The most milliseconds that any call may take, whatever its deadline; 0 = no such bound. */
  readonly maxTimeoutMs: number;
  /** Decides when large answers are made, and whether. */
  readonly large: LargeAnswers;
  /** Called with what a policy throws after a call has ended. */
  readonly onDefect: (cause: unknown) => void;
}

/** An answer with values up to this size is made at once. So is the first page of a stream. */
const SMALL_ANSWER_BYTES = 16 * 1024;

type AnyUnary = (request: object, call: Call) => Promise<object>;

/**
 * Surrounds the handlers of a service with what every call needs: deadline, cancellation, status
 * codes for errors, policies.
 */
export function implement<Service extends DescService>(
  service: Service,
  handlers: Handlers<Service>,
  settings: CallSettings,
): ServiceMethods {
  const methods = service.methods.map((desc): ServedMethod => {
    const handler = handlers[desc.localName as keyof Handlers<Service>];
    const row = readMethod(desc, settings.maxTimeoutMs);
    const policies = new PolicyChain(row, settings.policies, settings.onDefect);
    return row.kind === "unary" || row.kind === "client_streaming"
      ? wrapUnary(row, policies, handler as AnyUnary, settings)
      : wrapStream(row, policies, handler as AnyStream, settings);
  });
  return { service, methods };
}

function wrapUnary(
  row: MethodRow,
  policies: PolicyChain,
  handler: AnyUnary,
  { large }: CallSettings,
): UnaryMethod {
  const sum = valueBytesOf(row.desc.output);
  const bytesOf = sum ?? (() => 0);
  // What it took from a store is nowhere else, so its answer is not refused afterwards.
  const takes = row.writes && sum !== undefined;
  return {
    kind: "unary",
    row,
    policies,
    async run(request, record, scope, encode) {
      record.enter(request, scope);
      try {
        const waits = policies.begin(record, scope);
        if (waits !== undefined) {
          await scope.race(waits);
        }
        if (takes) {
          requireRoom(SMALL_ANSWER_BYTES, large);
        }
        const response = await scope.race(handler(request, scope));
        const bytes = bytesOf(response);
        if (bytes > SMALL_ANSWER_BYTES) {
          await scope.race(Promise.resolve(large.turn(bytes)));
          if (!takes) {
            requireRoom(bytes, large);
          }
        }
        const encoded = encode(response);
        const answer = encoded instanceof Promise ? await encoded : encoded;
        policies.finish(record, undefined);
        return answer;
      } catch (thrown) {
        const error = asPrismError(thrown);
        policies.finish(record, error);
        throw toConnectError(error, record);
      } finally {
        scope.close();
      }
    },
  };
}

/** Throws {@link PrismError} if there is no memory for an answer of this size. */
function requireRoom(bytes: number, large: LargeAnswers): void {
  if (!large.unsent.hasRoom(bytes)) {
    throw new PrismError("overloaded", "more answers wait for their callers than there is memory for");
  }
}

/**
 * Makes a function that sums the bytes of a response's values, those in its messages included: only
 * values can be large. No response has one in a oneof. `undefined` = the type has no values.
 * `above` are the types around it.
 */
function valueBytesOf(
  desc: DescMessage,
  above: readonly DescMessage[] = [],
): ((response: object) => number) | undefined {
  const values: string[] = [];
  const parts: { readonly name: string; readonly bytesOf: (part: object) => number }[] = [];
  for (const { fieldKind, scalar, message, localName: name } of desc.fields) {
    if (fieldKind === "scalar" && scalar === ScalarType.BYTES) {
      values.push(name);
    } else if (message !== undefined && fieldKind !== "map" && !above.includes(message)) {
      const bytesOf = valueBytesOf(message, [...above, desc]);
      if (bytesOf !== undefined) {
        parts.push({ name, bytesOf });
      }
    }
  }
  if (values.length + parts.length === 0) {
    return undefined;
  }
  return (response) => {
    const fields = response as Readonly<Record<string, unknown>>;
    let bytes = 0;
    for (const name of values) {
      const value = fields[name];
      bytes += value instanceof Uint8Array ? value.length : 0;
    }
    for (const { name, bytesOf } of parts) {
      const part = fields[name];
      if (Array.isArray(part)) {
        for (const item of part) {
          bytes += bytesOf(item);
        }
      } else if (typeof part === "object" && part !== null) {
        bytes += bytesOf(part);
      }
    }
    return bytes;
  };
}

function wrapStream(
  row: MethodRow,
  policies: PolicyChain,
  handler: AnyStream,
  { large }: CallSettings,
): StreamMethod {
  const settings = { handler, policies, large, batchBytes: SMALL_ANSWER_BYTES };
  return {
    kind: "stream",
    row,
    policies,
    open: (request, record, scope, encode) => new StreamCall(settings, request, record, scope, encode),
  };
}
