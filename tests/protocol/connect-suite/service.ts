/**
 * The suite's service behind Prism's own policies and wire. It answers what each request asks for.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { create, createRegistry, type MessageShape } from "@bufbuild/protobuf";
import { type Any, anyPack, DurationSchema, FloatValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import type { Call } from "../../../server/backend/contract.ts";
import { type CallSettings, type Handlers, implement } from "../../../server/calls/implement.ts";
import type { CallRecord } from "../../../server/calls/record.ts";
import type { ServiceMethods, StreamMethod, UnaryMethod } from "../../../server/calls/served-method.ts";
import { JSON_OPTIONS } from "../../../server/wire/wire-format.ts";
import { toConnectError, toPairs, toSuiteHeaders } from "./convert.ts";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  ConformanceService,
  file_connectrpc_conformance_v1_service,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";

// The suite's messages contain others of any type, which JSON cannot write without knowing them.
Object.assign(JSON_OPTIONS, {
  registry: createRegistry(file_connectrpc_conformance_v1_service, DurationSchema, FloatValueSchema),
});

/** The request headers by which the suite knows a test. */
const REQUEST_HEADERS = ["x-conformance-test", "x-custom-header"];

/** A request for the handlers below: the message, and facts that Prism's handlers never need. */
interface Asked<T> {
  readonly message: T;
  readonly record: CallRecord;
}

/**
 * A response, or the error to fail with. Prism's handlers cannot throw just any error, so it leaves
 * the policies as a value.
 */
type Outcome = object | ConnectError;

/** Makes the service, like `createServices` for Prism's. */
export function createConformanceService(calls: CallSettings): ServiceMethods[] {
  const { service, methods } = implement(
    ConformanceService,
    handlers as unknown as Handlers<typeof ConformanceService>,
    calls,
  );
  return [
    {
      service,
      methods: methods.map((method) => (method.kind === "unary" ? outerUnary(method) : outerStream(method))),
    },
  ];
}

function orThrow(outcome: Outcome): object {
  if (outcome instanceof ConnectError) {
    throw outcome;
  }
  return outcome;
}

function outerUnary(inner: UnaryMethod): UnaryMethod {
  return {
    ...inner,
    async run(message, record, scope, encode) {
      const asked = { message, record };
      return encode(orThrow(await inner.run(asked, record, scope, (outcome) => outcome)));
    },
  };
}

function outerStream(inner: StreamMethod): StreamMethod {
  return {
    ...inner,
    open(message, record, scope, encode) {
      const asked = { message, record };
      const batches = inner.open(asked, record, scope, (batch) => [...batch]);
      return {
        wait: (work) => batches.wait(work),
        close: () => batches.close(),
        async next() {
          const batch = await batches.next();
          return batch && encode(batch.map(orThrow));
        },
      };
    },
  };
}

const handlers = {
  unary: (asked: Asked<MessageShape<typeof UnaryRequestSchema>>, call: Call) =>
    answerUnary(asked, [anyPack(UnaryRequestSchema, asked.message)], asked.message.responseDefinition, call),

  idempotentUnary: (asked: Asked<MessageShape<typeof IdempotentUnaryRequestSchema>>, call: Call) =>
    answerUnary(
      asked,
      [anyPack(IdempotentUnaryRequestSchema, asked.message)],
      asked.message.responseDefinition,
      call,
    ),

  async clientStream(
    asked: Asked<AsyncIterable<MessageShape<typeof ClientStreamRequestSchema>>>,
    call: Call,
  ): Promise<Outcome> {
    const requests = await Array.fromAsync(asked.message);
    const packed = requests.map((request) => anyPack(ClientStreamRequestSchema, request));
    return answerUnary(asked, packed, requests[0]?.responseDefinition, call);
  },

  async *serverStream(
    asked: Asked<MessageShape<typeof ServerStreamRequestSchema>>,
    call: Call,
  ): AsyncGenerator<Outcome[]> {
    const { responseDefinition } = asked.message;
    setMetadata(asked.record, responseDefinition);
    const info = infoOf(asked, [anyPack(ServerStreamRequestSchema, asked.message)]);
    yield* answerRest(responseDefinition, 0, info, call);
  },

  async *bidiStream(
    asked: Asked<AsyncIterable<MessageShape<typeof BidiStreamRequestSchema>>>,
    call: Call,
  ): AsyncGenerator<Outcome[]> {
    let definition: StreamResponseDefinition | undefined;
    let requests: Any[] = [];
    let sent = 0;
    for await (const request of asked.message) {
      requests.push(anyPack(BidiStreamRequestSchema, request));
      if (request.responseDefinition !== undefined) {
        definition = request.responseDefinition;
        setMetadata(asked.record, definition);
      }
      if (request.fullDuplex || sent > 0) {
        const data = definition?.responseData[sent];
        if (data === undefined) {
          break;
        }
        await delay(definition, call);
        const requestInfo = sent === 0 ? infoOf(asked, requests) : { requests };
        yield [{ payload: { data, requestInfo } }];
        sent++;
        requests = [];
      }
    }
    yield* answerRest(definition, sent, infoOf(asked, requests), call);
  },

  async unimplemented(): Promise<Outcome> {
    return new ConnectError("it is there to be not implemented", Code.Unimplemented);
  },
};

async function answerUnary(
  asked: Asked<unknown>,
  requests: Any[],
  definition: UnaryResponseDefinition | undefined,
  call: Call,
): Promise<Outcome> {
  setMetadata(asked.record, definition);
  await delay(definition, call);
  const requestInfo = infoOf(asked, requests);
  const response = definition?.response;
  if (response?.case === "error") {
    return failure(response.value, requestInfo);
  }
  return { payload: { data: response?.value ?? new Uint8Array(0), requestInfo } };
}

/**
 * The responses from number `sent` on, then the error. The very first response tells about the
 * request.
 */
async function* answerRest(
  definition: StreamResponseDefinition | undefined,
  sent: number,
  requestInfo: ConformancePayload_RequestInfo,
  call: Call,
): AsyncGenerator<Outcome[]> {
  if (definition === undefined) {
    return;
  }
  const { responseData, error } = definition;
  for (let i = sent; i < responseData.length; i++) {
    await delay(definition, call);
    const data = responseData[i] ?? new Uint8Array(0);
    yield [{ payload: { data, ...(i === 0 && { requestInfo }) } }];
  }
  if (error !== undefined) {
    yield [responseData.length === 0 ? failure(error, requestInfo) : toConnectError(error)];
  }
}

function failure(
  error: Parameters<typeof toConnectError>[0],
  requestInfo: ConformancePayload_RequestInfo,
): ConnectError {
  const info = anyPack(ConformancePayload_RequestInfoSchema, requestInfo);
  return toConnectError({ ...error, details: [...error.details, info] });
}

function setMetadata(
  record: CallRecord,
  definition: UnaryResponseDefinition | StreamResponseDefinition | undefined,
): void {
  if (definition !== undefined) {
    const { responseHeaders, responseTrailers } = definition;
    record.metadata = { header: toPairs(responseHeaders), trailer: toPairs(responseTrailers) };
  }
}

async function delay(definition: { responseDelayMs: number } | undefined, call: Call): Promise<void> {
  const ms = definition?.responseDelayMs ?? 0;
  if (ms > 0) {
    await sleep(ms, undefined, { signal: call.signal });
  }
}

/** What the suite wants to hear about its own request. */
function infoOf({ record }: Asked<unknown>, requests: Any[]): ConformancePayload_RequestInfo {
  const known = REQUEST_HEADERS.flatMap((name) => {
    const value = record.header(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const { timeoutMs } =
    record.header("grpc-timeout") === undefined
      ? parseConnectTimeout(record.header("connect-timeout-ms") ?? null, Number.MAX_SAFE_INTEGER)
      : parseGrpcTimeout(record.header("grpc-timeout") ?? null, Number.MAX_SAFE_INTEGER);
  const query = record.url?.split("?")[1];
  return create(ConformancePayload_RequestInfoSchema, {
    requestHeaders: toSuiteHeaders(known),
    requests,
    ...(timeoutMs !== undefined && { timeoutMs: BigInt(Math.floor(timeoutMs)) }),
    ...(query !== undefined && {
      connectGetInfo: { queryParams: toSuiteHeaders(new URLSearchParams(query)) },
    }),
  });
}
