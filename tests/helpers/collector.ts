import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fromBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema } from "../../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { KeyValue } from "../../gen/opentelemetry/proto/common/v1/common_pb.ts";
import type { Span } from "../../gen/opentelemetry/proto/trace/v1/trace_pb.ts";

/** A span as tests look at it: ids in hexadecimal, "" = none. */
export interface SeenSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly flags: number;
  readonly name: string;
  readonly kind: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** 0 = not said, 2 = failed. */
  readonly status: number;
}

/** A request that the collector has read. */
export interface SeenRequest {
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly spans: readonly SeenSpan[];
}

/** A collector of traces: a real HTTP server that reads OTLP. */
export interface Collector extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  /** Of all requests, in order. */
  readonly spans: readonly SeenSpan[];
}

/** Answers a request; `tries` = how many came before it. */
export type CollectorAnswer = (response: ServerResponse, tries: number) => void;

/** Starts a collector on a free port of loopback. Without `answer` it takes everything. */
export async function startCollector(
  answer: CollectorAnswer = (response) => response.end(),
  port = 0,
): Promise<Collector> {
  const requests: SeenRequest[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request));
    const { resourceSpans } = fromBinary(ExportTraceServiceRequestSchema, body);
    const tries = requests.length;
    requests.push({
      path: request.url,
      headers: request.headers,
      body,
      resource: attributesOf(resourceSpans[0]?.resource?.attributes ?? []),
      spans: resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(seen))),
    });
    answer(response, tries);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get spans() {
      return requests.flatMap(({ spans }) => spans);
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function seen(span: Span): SeenSpan {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  return {
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentSpanId: hex(span.parentSpanId),
    flags: span.flags,
    name: span.name,
    kind: span.kind,
    startMs: Number(span.startTimeUnixNano) / 1e6,
    endMs: Number(span.endTimeUnixNano) / 1e6,
    attributes: attributesOf(span.attributes),
    status: span.status?.code ?? 0,
  };
}

function attributesOf(attributes: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const of = value?.value.value;
      return [key, typeof of === "bigint" ? Number(of) : of];
    }),
  );
}
