import { afterEach, expect, test, vi } from "vitest";
import { KeyValueBasicInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBlockingInterface } from "../../../gen/prism/interfaces/list/list_blocking_pb.ts";
import { PrismError } from "../../errors.ts";
import type { Failure } from "../failure-log.ts";
import { readMethod } from "../methods.ts";
import { CallRecord } from "../record.ts";
import { CallScope } from "../scope.ts";
import { createSlowCallPolicy } from "./slow.ts";

const GET = readMethod(KeyValueBasicInterface.method.get, 0);
const SCAN = readMethod(KeyValueScanInterface.method.scan, 0);

afterEach(() => {
  vi.restoreAllMocks();
});

/** A clock that the test moves. */
function stopClock() {
  let nowMs = 1000;
  vi.spyOn(performance, "now").mockImplementation(() => nowMs);
  return {
    pass(ms: number) {
      nowMs += ms;
    },
  };
}

function setUp(row = GET) {
  const told: Failure[] = [];
  const tell = (failure: Failure) => void told.push(failure);
  const failures = { log: {} as never, tell, close: () => {} };
  const hooks = createSlowCallPolicy(failures, 100).on(row);
  const begin = () => {
    const record = new CallRecord(row, "id-1", { header: () => undefined, socket: {} });
    return { record, scope: new CallScope(0) };
  };
  return { told, hooks, begin };
}

test("a slow call has a line with where its time went", () => {
  const clock = stopClock();
  const { told, hooks, begin } = setUp();
  const { record, scope } = begin();
  clock.pass(7);
  record.enter({ namespace: "orders" }, scope);
  hooks?.begin?.(record, scope);
  const store = record.times?.store({ store: "postgres", method: "get" });
  const wait = record.times?.queue();
  clock.pass(60);
  wait?.end();
  clock.pass(30);
  store?.end();
  clock.pass(10);
  hooks?.finish?.(record, undefined, true);
  expect(told).toMatchObject([{ level: "warn", message: "slow call" }]);
  expect(told[0]?.kind).toBe("/prism.interfaces.keyvalue.KeyValueBasicInterface/Get orders");
  expect(told[0]?.fields()).toMatchObject({
    request_id: "id-1",
    call: "Get",
    namespace: "orders",
    code: "ok",
    duration_ms: 107,
    receive_ms: 7,
    queue_ms: 60,
    store_ms: 30,
  });
});

test("a call under the threshold has none, however slowly its request came", () => {
  const clock = stopClock();
  const { told, hooks, begin } = setUp();
  const { record, scope } = begin();
  clock.pass(5000);
  hooks?.begin?.(record, scope);
  clock.pass(99);
  hooks?.finish?.(record, undefined, true);
  expect(told).toEqual([]);
});

test("a call that ran into its deadline tells what it waited for", () => {
  const clock = stopClock();
  const { told, hooks, begin } = setUp();
  const { record, scope } = begin();
  hooks?.begin?.(record, scope);
  record.times?.store({ store: "postgres", method: "get" });
  clock.pass(500);
  hooks?.finish?.(record, new PrismError("deadline_exceeded", "the deadline of the call passed"), true);
  expect(told[0]?.fields()).toMatchObject({ reason: "deadline_exceeded", store_ms: 500, queue_ms: 0 });
});

test("a namespace that a refused caller made up is no kind of its own", () => {
  const clock = stopClock();
  const { told, hooks, begin } = setUp();
  for (const namespace of ["made-up", "made-up-too"]) {
    const { record, scope } = begin();
    record.enter({ namespace }, scope);
    hooks?.begin?.(record, scope);
    // The keys of the issuer come late, for example.
    clock.pass(100);
    hooks?.finish?.(record, new PrismError("credentials_invalid", "the token has expired"), true);
  }
  expect(new Set(told.map(({ kind }) => kind)).size).toBe(1);
});

test("of a stream the time to its first message counts", () => {
  const clock = stopClock();
  const { told, hooks, begin } = setUp(SCAN);
  for (const firstMs of [50, 150]) {
    const { record, scope } = begin();
    hooks?.begin?.(record, scope);
    clock.pass(firstMs);
    Object.assign(record.times ?? {}, { firstMessageAtMs: performance.now() });
    clock.pass(10_000);
    hooks?.finish?.(record, undefined, true);
  }
  expect(told.map(({ fields }) => fields())).toMatchObject([{ first_message_ms: 150, duration_ms: 10_150 }]);
});

test("a method that waits is not looked at", () => {
  const { hooks } = setUp(readMethod(ListBlockingInterface.method.blockingPopLeft, 0));
  expect(hooks).toBeUndefined();
});
