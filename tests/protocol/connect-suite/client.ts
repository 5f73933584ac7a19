/**
 * The client under test: Connect's generated client over Prism's own gRPC transport. Requests run
 * at the same time, as the suite sends them.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type CallOptions, ConnectError, createClient } from "@connectrpc/connect";
import { createWritableIterable } from "@connectrpc/connect/protocol";
import { createGrpcTransport, type GrpcTransport } from "../../../client/transport/transport.ts";
import { toPairs, toSuiteError, toSuiteHeaders } from "./convert.ts";
import {
  type ClientCompatRequest,
  ClientCompatRequestSchema,
  ClientCompatResponseSchema,
  type ClientResponseResult,
  ClientResponseResultSchema,
} from "./gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { StreamType } from "./gen/connectrpc/conformance/v1/config_pb.ts";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload,
  ConformancePayloadSchema,
  ConformanceService,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  UnaryRequestSchema,
  UnimplementedRequestSchema,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";
import { readMessages, writeMessage } from "./stdio.ts";

/** One for each server, whose calls share connections. */
const transports = new Map<string, GrpcTransport>();

function transportTo({
  host,
  port,
  serverTlsCert,
  clientTlsCreds,
  messageReceiveLimit,
}: ClientCompatRequest): GrpcTransport {
  const secure = serverTlsCert.length > 0;
  const key = `${host}:${port} ${messageReceiveLimit} ${clientTlsCreds === undefined}`;
  let transport = transports.get(key);
  if (transport === undefined) {
    transport = createGrpcTransport({
      baseUrl: `${secure ? "https" : "http"}://${host}:${port}`,
      ...(messageReceiveLimit > 0 && { readMaxBytes: messageReceiveLimit }),
      ...(secure && {
        tls: {
          ca: Buffer.from(serverTlsCert),
          ...(clientTlsCreds && {
            cert: Buffer.from(clientTlsCreds.cert),
            key: Buffer.from(clientTlsCreds.key),
          }),
        },
      }),
    });
    transports.set(key, transport);
  }
  return transport;
}

/** The course of one call. */
class Run {
  readonly payloads: ConformancePayload[] = [];
  readonly #request: ClientCompatRequest;
  readonly #abort = new AbortController();
  #headers = new Headers();
  #trailers = new Headers();

  constructor(request: ClientCompatRequest) {
    this.#request = request;
  }

  get options(): CallOptions {
    const { requestHeaders, timeoutMs } = this.#request;
    const headers = new Headers();
    const pairs = toPairs(requestHeaders);
    for (let i = 0; i < pairs.length; i += 2) {
      headers.append(pairs[i] ?? "", pairs[i + 1] ?? "");
    }
    return {
      headers,
      signal: this.#abort.signal,
      ...(timeoutMs !== undefined && { timeoutMs }),
      onHeader: (received) => {
        this.#headers = received;
      },
      onTrailer: (received) => {
        this.#trailers = received;
      },
    };
  }

  /** The request messages, each after its delay. */
  async *requests<D extends DescMessage>(type: D): AsyncGenerator<MessageShape<D>> {
    const { requestMessages, requestDelayMs } = this.#request;
    for (const packed of requestMessages) {
      const message = anyUnpack(packed, type);
      if (message === undefined) {
        throw new TypeError(`no ${type.typeName}: ${packed.typeUrl}`);
      }
      await sleep(requestDelayMs);
      yield message;
    }
    if (this.#request.cancel?.cancelTiming.case === "beforeCloseSend") {
      this.#abort.abort();
    }
    this.sent();
  }

  async request<D extends DescMessage>(type: D): Promise<MessageShape<D>> {
    const { done, value } = await this.requests(type).next();
    if (done === true) {
      throw new TypeError("the call has no request");
    }
    return value;
  }

  /** Everything is sent. A cancellation some time after that starts its timer now. */
  sent(): void {
    const timing = this.#request.cancel?.cancelTiming;
    if (timing?.case === "afterCloseSendMs" || (timing !== undefined && timing.case === undefined)) {
      setTimeout(() => this.#abort.abort(), timing.value ?? 0);
    }
  }

  received(payload: ConformancePayload | undefined): void {
    this.payloads.push(payload ?? create(ConformancePayloadSchema));
    const timing = this.#request.cancel?.cancelTiming;
    if (timing?.case === "afterNumResponses" && timing.value === this.payloads.length) {
      this.#abort.abort();
    }
  }

  result(thrown: unknown): ClientResponseResult {
    const error = thrown === undefined ? undefined : ConnectError.from(thrown);
    // Connect reports the headers and trailers of a failed call together.
    const both = error === undefined || this.payloads.length > 0 ? undefined : error.metadata;
    return create(ClientResponseResultSchema, {
      payloads: this.payloads,
      responseHeaders: toSuiteHeaders(both ?? this.#headers),
      responseTrailers: toSuiteHeaders(both ?? error?.metadata ?? this.#trailers),
      ...(error && { error: toSuiteError(error) }),
    });
  }
}

async function call(request: ClientCompatRequest, run: Run): Promise<void> {
  const client = createClient(ConformanceService, transportTo(request));
  const { options } = run;
  switch (request.method) {
    case "Unary": {
      const message = await run.request(UnaryRequestSchema);
      run.sent();
      run.received((await client.unary(message, options)).payload);
      return;
    }
    case "IdempotentUnary": {
      const message = await run.request(IdempotentUnaryRequestSchema);
      run.sent();
      run.received((await client.idempotentUnary(message, options)).payload);
      return;
    }
    case "Unimplemented":
      await client.unimplemented(await run.request(UnimplementedRequestSchema), options);
      return;
    case "ServerStream": {
      const message = await run.request(ServerStreamRequestSchema);
      const responses = client.serverStream(message, options);
      run.sent();
      for await (const { payload } of responses) {
        run.received(payload);
      }
      return;
    }
    case "ClientStream":
      run.received((await client.clientStream(run.requests(ClientStreamRequestSchema), options)).payload);
      return;
    case "BidiStream":
      await callBidi(client, request, run);
      return;
    default:
      throw new TypeError(`no such method: ${request.method}`);
  }
}

async function callBidi(
  client: ReturnType<typeof createClient<typeof ConformanceService>>,
  { streamType }: ClientCompatRequest,
  run: Run,
): Promise<void> {
  if (streamType !== StreamType.FULL_DUPLEX_BIDI_STREAM) {
    for await (const { payload } of client.bidiStream(run.requests(BidiStreamRequestSchema), run.options)) {
      run.received(payload);
    }
    return;
  }
  const outgoing = createWritableIterable<MessageShape<typeof BidiStreamRequestSchema>>();
  const responses = client.bidiStream(outgoing, run.options)[Symbol.asyncIterator]();
  const receive = async () => {
    const { done, value } = await responses.next();
    if (done !== true) {
      run.received(value.payload);
    }
    return done !== true;
  };
  let open = true;
  for await (const request of run.requests(BidiStreamRequestSchema)) {
    if (open) {
      await outgoing.write(request);
      open = await receive();
    }
  }
  outgoing.close();
  while (open) {
    open = await receive();
  }
}

async function answer(request: ClientCompatRequest): Promise<void> {
  const run = new Run(request);
  let error: unknown;
  try {
    await call(request, run);
  } catch (thrown) {
    error = thrown;
  }
  const { testName } = request;
  const result =
    error instanceof TypeError
      ? { case: "error" as const, value: { message: error.message } }
      : { case: "response" as const, value: run.result(error) };
  writeMessage(ClientCompatResponseSchema, create(ClientCompatResponseSchema, { testName, result }));
}

/** The most calls at a time. */
const MAX_CALLS = 16;

const calls = new Set<Promise<void>>();
for await (const request of readMessages(ClientCompatRequestSchema)) {
  const one: Promise<void> = answer(request).finally(() => calls.delete(one));
  calls.add(one);
  if (calls.size >= MAX_CALLS) {
    await Promise.race(calls);
  }
}
await Promise.all(calls);
for (const transport of transports.values()) {
  transport.close();
}
