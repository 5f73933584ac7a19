import { afterEach, describe, expect, test, vi } from "vitest";
import { KeyValueBasicInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { ListBlockingInterface } from "../../../gen/prism/interfaces/list/list_blocking_pb.ts";
import { PrismError } from "../../errors.ts";
import { type MethodRow, readMethod } from "../methods.ts";
import { CallRecord } from "../record.ts";
import { CallScope } from "../scope.ts";
import { createTracePolicy, type Sampling, type TracedCall } from "./trace.ts";

const GET = readMethod(KeyValueBasicInterface.method.get, 0);
const WAITS = readMethod(ListBlockingInterface.method.blockingPopLeft, 0);
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const NO_TAIL = { errors: false, slowerThanMs: 0 };

const parent = (flags: string) => ({ traceparent: `00-${TRACE}-${SPAN}-${flags}` });

/** Makes calls under a policy; `added` are those it traced. */
function setUp(sampling: Partial<Sampling>, row: MethodRow = GET) {
  const added: TracedCall[] = [];
  const policy = createTracePolicy({ ratio: 0, tail: NO_TAIL, ...sampling }, (call) => void added.push(call));
  const hooks = policy.on(row);
  function call(
    headers: Readonly<Record<string, string>> = {},
    error?: PrismError,
    begun = true,
  ): CallRecord {
    const record = new CallRecord(row, "id-1", { header: (name) => headers[name], socket: {} });
    const scope = new CallScope(0);
    if (begun) {
      record.enter({ namespace: "orders" }, scope);
      hooks?.begin?.(record, scope);
    }
    hooks?.finish?.(record, error, begun);
    return record;
  }
  return { added, call, hooks };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("at the head", () => {
  test("without a parent chance decides, and nothing is made for the others", () => {
    const { added, call } = setUp({ ratio: 0.25 });
    const random = vi.spyOn(Math, "random").mockReturnValue(0.25);
    const record = call();
    expect([record.span, record.times, record.traceId, record.traceparent]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(random).toHaveBeenCalledOnce();
    random.mockReturnValue(0.2499);
    expect(call().traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(added).toHaveLength(1);
    expect(added[0]).toMatchObject({ parentSpanId: undefined, namespace: "orders", reason: undefined });
  });

  test.each([
    ["01", 0, true],
    ["00", 1, false],
  ])("the flag %s of a parent decides, whatever the ratio", (flags, ratio, isTraced) => {
    const { added, call } = setUp({ ratio });
    const record = call(parent(flags));
    expect(added).toHaveLength(isTraced ? 1 : 0);
    // The log has it in any case.
    expect(record.traceId).toBe(TRACE);
    if (isTraced) {
      expect(added[0]).toMatchObject({ span: { traceId: TRACE, sampled: true }, parentSpanId: SPAN });
      expect(added[0]?.span.spanId).not.toBe(SPAN);
    }
  });

  test("an invalid traceparent is none", () => {
    const { added, call } = setUp({ ratio: 1 });
    call({ traceparent: "00-0-0-00" });
    expect(added[0]).toMatchObject({ parentSpanId: undefined });
    expect(added[0]?.span.traceId).toMatch(/^[0-9a-f]{32}$/);
  });

  test("a request that could not be read has its span too", () => {
    const { added, call } = setUp({ ratio: 0 });
    call(parent("01"), new PrismError("malformed_request", "no"), false);
    expect(added[0]).toMatchObject({ reason: "malformed_request", namespace: "", parts: [] });
  });
});

describe("what a call on behalf of this one is told", () => {
  test("of a call that is traced: itself", () => {
    const { call } = setUp({ ratio: 1 });
    const record = call(parent("01"));
    expect(record.traceparent).toBe(`00-${TRACE}-${record.span?.spanId}-01`);
  });

  test("while a store is called: that call", () => {
    const { call } = setUp({ ratio: 1 });
    const record = call();
    record.times?.store({ store: "remote", method: "get" });
    expect(record.traceparent).toContain(record.times?.parts[0]?.spanId);
  });

  test("of one that is not traced: its parent", () => {
    const { call } = setUp({});
    const headers = { ...parent("00"), tracestate: "vendor=1" };
    const record = call(headers);
    expect(record).toMatchObject(headers);
  });

  test("a tracestate without a traceparent, or a very long one, goes no further", () => {
    const { call } = setUp({});
    expect(call({ tracestate: "vendor=1" }).tracestate).toBeUndefined();
    expect(call({ ...parent("01"), tracestate: "v".repeat(1025) }).tracestate).toBeUndefined();
  });
});

describe("at the tail", () => {
  const failure = new PrismError("store_unavailable", "away");
  const missing = new PrismError("key_not_found", "no such key");

  test("failures are kept where they are asked for, but no missing key", () => {
    const { added, call } = setUp({ tail: { errors: true, slowerThanMs: 0 } });
    call();
    call({}, missing);
    expect(added).toEqual([]);
    const record = call({}, failure);
    expect(added).toMatchObject([{ span: { sampled: false }, reason: "store_unavailable" }]);
    // The line in the log, which is written later, has it.
    expect(record.traceId).toBe(added[0]?.span.traceId);
    call(parent("00"), failure);
    expect(added[1]).toMatchObject({ span: { traceId: TRACE }, parentSpanId: SPAN });
    setUp({}).call({}, failure);
    expect(setUp({}).added).toEqual([]);
  });

  test("slow calls are kept, with their parts, but none that waits", () => {
    const tail = { errors: false, slowerThanMs: 50 };
    for (const row of [GET, WAITS]) {
      const { added, call, hooks } = setUp({ tail }, row);
      call();
      expect(added).toEqual([]);
      const record = new CallRecord(row, "id-1", { header: () => undefined, socket: {} });
      const scope = new CallScope(0);
      hooks?.begin?.(record, scope);
      record.times?.store({ store: "memory", method: "get" });
      const now = performance.now();
      vi.spyOn(performance, "now").mockReturnValue(now + 51);
      hooks?.finish?.(record, undefined, true);
      expect(added).toHaveLength(row === GET ? 1 : 0);
      if (row === GET) {
        expect(added[0]?.parts).toMatchObject([
          { parentSpanId: record.span?.spanId, operation: { store: "memory", method: "get" } },
        ]);
      }
      vi.restoreAllMocks();
    }
  });
});
