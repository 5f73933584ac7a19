/** Against a real HTTP server that speaks OTLP, or something else. */

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { pino } from "pino";
import { describe, expect, onTestFinished, test } from "vitest";
import { ExportTraceServiceResponseSchema } from "../../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { type CollectorAnswer, startCollector } from "../../tests/helpers/collector.ts";
import { freePort } from "../../tests/helpers/port.ts";
import { waitFor } from "../../tests/helpers/until.ts";
import { readMethod } from "../calls/methods.ts";
import type { TracedCall } from "../calls/policies/trace.ts";
import { randomSpanId, randomTraceId } from "../calls/trace-context.ts";
import { createSpanExporter, type ExporterBounds } from "./exporter.ts";

const ROW = readMethod(KeyValueBasicInterface.method.get, 0);

/** Long enough for a busy machine, where a test waits for something else to end the wait. */
const LONG_MS = 60_000;

const QUICK: Partial<ExporterBounds> = { delayMs: 1, minPauseMs: 1, maxPauseMs: 5 };

function call(requestId: string, parts = 0): TracedCall {
  const span = { traceId: randomTraceId(), spanId: randomSpanId(), sampled: true };
  const times = { startMs: Date.now(), endMs: Date.now() };
  const known = { row: ROW, span, parentSpanId: undefined, isGrpc: true, namespace: "n", reason: undefined };
  const part = { parentSpanId: span.spanId, operation: undefined, ...times };
  return {
    ...known,
    ...times,
    requestId,
    parts: Array.from({ length: parts }, () => ({ ...part, spanId: randomSpanId() })),
  };
}

function startExporter(
  url: string,
  bounds: Partial<ExporterBounds> = {},
  headers: Readonly<Record<string, string>> = {},
) {
  const log: Record<string, unknown>[] = [];
  const exporter = createSpanExporter({
    url: new URL("/v1/traces", url),
    headers,
    resource: { "service.name": "test" },
    log: pino({ level: "info" }, { write: (line: string) => log.push(JSON.parse(line)) }),
    bounds: { ...QUICK, ...bounds },
  });
  onTestFinished(() => exporter.close(0));
  const add = (...ids: readonly string[]) => {
    for (const id of ids) {
      exporter.add(call(id));
    }
  };
  return { exporter, log, add };
}

const idsOf = ({ spans }: { readonly spans: readonly { readonly attributes: object }[] }) =>
  spans.map(({ attributes }) => Reflect.get(attributes, "prism.request_id"));

/** Answers with these statuses, then with 200. */
const statuses =
  (...codes: readonly number[]): CollectorAnswer =>
  (response, tries) => {
    response.writeHead(codes[tries] ?? 200).end();
  };

test("calls that come together go in one request, with the headers and the resource", async () => {
  await using collector = await startCollector();
  const { add, log } = startExporter(collector.url, {}, { authorization: "Bearer t0ken" });
  add("a", "b", "c");
  await waitFor(() => expect(idsOf(collector)).toEqual(["a", "b", "c"]));
  expect(collector.requests).toMatchObject([
    {
      path: "/v1/traces",
      headers: { "content-type": "application/x-protobuf", authorization: "Bearer t0ken" },
      resource: { "service.name": "test" },
    },
  ]);
  expect(log).toEqual([]);
});

test("a full batch does not wait, and no batch is larger", async () => {
  await using collector = await startCollector();
  const { add, exporter } = startExporter(collector.url, { maxBatch: 2, delayMs: LONG_MS });
  add("a", "b", "c", "d", "e");
  await waitFor(() => expect(idsOf(collector)).toEqual(["a", "b", "c", "d"]));
  expect(collector.requests.map(({ spans }) => spans.length)).toEqual([2, 2]);
  // The last one waits for others, or for the end.
  await exporter.close(LONG_MS);
  expect(idsOf(collector)).toEqual(["a", "b", "c", "d", "e"]);
});

test("a request has so many spans, and those of a call are in one", async () => {
  await using collector = await startCollector();
  const { exporter } = startExporter(collector.url, { maxBatch: 4, delayMs: LONG_MS });
  for (const [id, parts] of [
    ["a", 1],
    ["b", 0],
    ["c", 1],
    ["d", 9],
    ["e", 1],
    ["f", 0],
  ] as const) {
    exporter.add(call(id, parts));
  }
  await exporter.close(LONG_MS);
  expect(collector.requests.map(({ spans }) => spans.length)).toEqual([3, 2, 10, 3]);
});

describe("a collector that has too much to do", () => {
  test.each([429, 502, 503, 504])("is asked again after HTTP %d", async (status) => {
    await using collector = await startCollector(statuses(status, status));
    const { add, log } = startExporter(collector.url);
    add("a");
    await waitFor(() => expect(idsOf(collector)).toEqual(["a", "a", "a"]));
    add("b");
    await waitFor(() => expect(idsOf(collector)).toHaveLength(4));
    expect(log).toEqual([]);
  });

  test("is left alone for as long as it asks", async () => {
    const askedAtMs: number[] = [];
    await using collector = await startCollector((response, tries) => {
      askedAtMs.push(performance.now());
      response.writeHead(tries === 0 ? 503 : 200, tries === 0 ? { "retry-after": "1" } : {}).end();
    });
    startExporter(collector.url).add("a");
    await waitFor(() => expect(askedAtMs).toHaveLength(2));
    // Node's timers may be a millisecond early.
    expect((askedAtMs[1] ?? 0) - (askedAtMs[0] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test("loses what it would take later than it is worth", async () => {
    await using collector = await startCollector((response) =>
      response.writeHead(503, { "retry-after": "3600" }).end(),
    );
    const { add, log } = startExporter(collector.url);
    add("a", "b");
    await waitFor(() =>
      expect(log).toMatchObject([
        { msg: "spans are lost", spans: 2, why: "the collector answers HTTP 503", level: 40 },
      ]),
    );
    expect(collector.requests).toHaveLength(1);
  });
});

test.each([400, 401, 404, 301, 500])("HTTP %d is not asked twice", async (status) => {
  await using collector = await startCollector(statuses(status));
  const { add, log } = startExporter(collector.url);
  add("a");
  await waitFor(() => expect(log).toMatchObject([{ spans: 1, why: `the collector answers HTTP ${status}` }]));
  add("b");
  await waitFor(() => expect(idsOf(collector)).toEqual(["a", "b"]));
});

describe("a collector that is away", () => {
  test("is found when it comes back", async () => {
    const port = await freePort();
    const { add, log } = startExporter(`http://127.0.0.1:${port}`);
    add("a");
    await using collector = await startCollector(undefined, port);
    await waitFor(() => expect(idsOf(collector)).toEqual(["a"]));
    expect(log).toEqual([]);
  });

  test("is given up, and the log says so", async () => {
    const { add, log } = startExporter(`http://127.0.0.1:${await freePort()}`, { giveUpMs: 20 });
    add("a", "b", "c");
    await waitFor(() => expect(log).toMatchObject([{ spans: 3, why: "ECONNREFUSED" }]));
  });

  test("does not hold up the end", async () => {
    const { add, log, exporter } = startExporter(`http://127.0.0.1:${await freePort()}`, {
      minPauseMs: LONG_MS,
      maxPauseMs: LONG_MS,
    });
    add("a");
    await exporter.close(LONG_MS);
    expect(log).toMatchObject([{ spans: 1, why: "ECONNREFUSED" }]);
    add("b");
    expect(log).toHaveLength(2);
  });
});

describe("a collector that is slow", () => {
  /** Answers nothing until the test is over. */
  const silent = () => {
    const held: ServerResponse[] = [];
    return { held, answer: (response: ServerResponse) => void held.push(response) };
  };

  test("is asked again when its time is over", async () => {
    await using collector = await startCollector((response, tries) => {
      if (tries > 0) {
        response.end();
      }
    });
    startExporter(collector.url, { timeoutMs: 100 }).add("a");
    await waitFor(() => expect(idsOf(collector)).toEqual(["a", "a"]));
  });

  test("makes calls wait up to a bound; further ones are lost, and told once in a while", async () => {
    const { held, answer } = silent();
    await using collector = await startCollector(answer);
    const { add, log, exporter } = startExporter(collector.url, {
      maxBatch: 1,
      maxWaiting: 2,
      timeoutMs: LONG_MS,
      reportMs: LONG_MS,
    });
    add("a");
    await waitFor(() => expect(held).toHaveLength(1));
    add("b", "c", "d", "e", "f");
    expect(log).toMatchObject([{ spans: 1, why: "too many spans wait for the collector" }]);
    held[0]?.end();
    await waitFor(() => expect(held).toHaveLength(2));
    held[1]?.end();
    await waitFor(() => expect(held).toHaveLength(3));
    held[2]?.end();
    await exporter.close(LONG_MS);
    expect(idsOf(collector)).toEqual(["a", "b", "c"]);
    expect(log.map(({ spans }) => spans)).toEqual([1, 2]);
  });

  test("is waited for by so many spans, however many a call has", async () => {
    const { held, answer } = silent();
    await using collector = await startCollector(answer);
    const { exporter, log } = startExporter(collector.url, {
      maxBatch: 1,
      maxWaiting: 10,
      timeoutMs: LONG_MS,
    });
    exporter.add(call("a"));
    await waitFor(() => expect(held).toHaveLength(1));
    exporter.add(call("b", 7));
    exporter.add(call("c", 2));
    expect(log).toMatchObject([{ spans: 3, why: "too many spans wait for the collector" }]);
    exporter.add(call("d", 1));
    held[0]?.end();
    await waitFor(() => expect(held).toHaveLength(2));
    // Its spans are on their way.
    exporter.add(call("e", 7));
    for (const response of held) {
      response.end();
    }
    const closed = exporter.close(LONG_MS);
    await waitFor(() => {
      held.at(-1)?.end();
      expect(collector.requests).toHaveLength(4);
    });
    held.at(-1)?.end();
    await closed;
    expect(collector.requests.map(({ spans }) => spans.length)).toEqual([1, 8, 2, 8]);
  });

  test("holds up the end for the grace time only", async () => {
    const { held, answer } = silent();
    await using collector = await startCollector(answer);
    const { add, log, exporter } = startExporter(collector.url, { maxBatch: 1, timeoutMs: LONG_MS });
    add("a", "b", "c");
    await waitFor(() => expect(held).toHaveLength(1));
    await exporter.close(10);
    const lost = log.reduce((sum, { spans }) => sum + Number(spans), 0);
    expect(lost).toBe(3);
    expect(log[0]).toMatchObject({ why: "broken off" });
  });
});

describe("a collector that answers something else", () => {
  test("what it rejects is told with its words", async () => {
    const answer = create(ExportTraceServiceResponseSchema, {
      partialSuccess: { rejectedSpans: 1n, errorMessage: "too old" },
    });
    await using collector = await startCollector((response) =>
      response.end(toBinary(ExportTraceServiceResponseSchema, answer)),
    );
    const { add, log } = startExporter(collector.url);
    add("a", "b");
    await waitFor(() =>
      expect(log).toMatchObject([
        { spans: 1, why: "the collector says: too old", collector: `${collector.url}/v1/traces` },
      ]),
    );
  });

  test.each([
    ["a page", Buffer.from("<!doctype html><title>Welcome</title>")],
    ["more than anybody reads", Buffer.alloc(1024 * 1024, "x")],
  ])("%s: nobody knows", async (_, body) => {
    await using collector = await startCollector((response) => response.end(body));
    const { add, log } = startExporter(collector.url);
    add("a");
    await waitFor(() =>
      expect(log).toMatchObject([
        { msg: "spans may be lost", spans: 0, why: "the collector's answer is no OTLP" },
      ]),
    );
    add("b");
    await waitFor(() => expect(idsOf(collector)).toEqual(["a", "b"]));
  });

  test("no HTTP at all", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.end("220 mail.example ESMTP\r\n");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const { add, log } = startExporter(`http://127.0.0.1:${port}`, { giveUpMs: 20 });
    add("a");
    await waitFor(() => expect(log).toMatchObject([{ spans: 1 }]));
  });
});
