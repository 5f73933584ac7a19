import { describe, expect, test } from "vitest";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { KeyValueBasicInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { createCall } from "../../backend/contract.ts";
import { PrismError } from "../../errors.ts";
import type { Namespace } from "../../namespaces/live-namespace.ts";
import { type CallLimits, NO_RULES } from "../../namespaces/rules.ts";
import { type MethodRow, readMethod } from "../methods.ts";
import { CallRecord } from "../record.ts";
import type { BucketMaker } from "./bucket.ts";
import { UNKNOWN } from "./bucket.ts";
import { PolicyChain } from "./policy.ts";
import { type CallerLimits, createQuotaPolicy } from "./quota.ts";

const GET = readMethod(KeyValueBasicInterface.method.get, 0);
const NO_CALLERS: CallerLimits = { default: NO_RULES.limits, principals: [], byAddress: false };

/** A gateway with namespaces `orders` and `users`, and a clock that stands still. */
function setUp(given: {
  readonly orders?: Partial<CallLimits>;
  readonly callers?: Partial<Omit<CallerLimits, "default" | "principals">> & {
    readonly default?: Partial<CallLimits>;
    readonly principals?: readonly (Partial<CallLimits> & { readonly principal: string })[];
  };
  readonly row?: MethodRow;
  readonly makeBucket?: BucketMaker;
}) {
  const clock = { ms: 1000 };
  const rulesOf = (limits: Partial<CallLimits> = {}) => ({
    ...NO_RULES,
    limits: { ...NO_RULES.limits, ...limits },
  });
  const orders = {
    name: "orders",
    backend: undefined as never,
    backendName: "",
    rules: rulesOf(given.orders),
  };
  const users: Namespace = { name: "users", backend: undefined as never, backendName: "", rules: NO_RULES };
  const namespaces = new Map<string, Namespace>([
    ["orders", orders],
    ["users", users],
  ]);
  const { callers = {} } = given;
  const policy = createQuotaPolicy({
    find: (name) => namespaces.get(name),
    callers: {
      ...NO_CALLERS,
      ...callers,
      default: { ...NO_RULES.limits, ...callers.default },
      principals: (callers.principals ?? []).map((each) => ({ ...NO_RULES.limits, ...each })),
    },
    nowMs: () => clock.ms,
    ...(given.makeBucket && { makeBucket: given.makeBucket }),
  });
  const row = given.row ?? GET;
  const chain = new PolicyChain(row, [policy], (cause) => expect.unreachable(String(cause)));

  function begin(from: { namespace?: string; who?: string; peer?: string; bytes?: number } = {}) {
    const { namespace = "orders", who, peer = "10.0.0.1", bytes = 10 } = from;
    const record = new CallRecord(row, "id", { header: () => undefined, socket: { remoteAddress: peer } });
    record.principal = who === undefined ? undefined : { name: who, grants: [] };
    record.requestBytes = bytes;
    record.enter({ namespace });
    const waits = chain.begin(record, createCall());
    return { waits, end: () => chain.finish(record, undefined) };
  }

  /** Makes a call: "in", or how long it is to wait. */
  function call(from: Parameters<typeof begin>[0] = {}): "in" | number {
    try {
      const { end } = begin(from);
      end();
      return "in";
    } catch (error) {
      if (!(error instanceof PrismError) || error.reason !== "rate_limited") {
        throw error;
      }
      return error.retryAfterMs ?? Number.NaN;
    }
  }
  const setLimits = (limits: Partial<CallLimits>) => {
    orders.rules = rulesOf(limits);
  };
  return { policy, clock, begin, call, setLimits };
}

describe("a namespace", () => {
  test("has its burst at once, and tells who is too early when there is room", () => {
    const { call, clock } = setUp({ orders: { maxRps: 4, burst: 2 } });
    expect([call(), call(), call()]).toEqual(["in", "in", 250]);
    clock.ms += 249;
    expect(call()).toBe(1);
    clock.ms += 1;
    expect([call(), call()]).toEqual(["in", 250]);
    expect(call({ namespace: "users" })).toBe("in");
    expect(call({ namespace: "unknown" })).toBe("in");
  });

  test("without a burst has as many calls at once as in a second", () => {
    const { call } = setUp({ orders: { maxRps: 3 } });
    expect([call(), call(), call(), call()]).toEqual(["in", "in", "in", 334]);
  });

  test("counts the bytes of requests; a larger request than a second has waits for a full bucket", () => {
    const { call, clock } = setUp({ orders: { maxInBytesPerSecond: 1000 } });
    expect([call({ bytes: 900 }), call({ bytes: 200 })]).toEqual(["in", 100]);
    expect(call({ bytes: 5000 })).toBe(900);
    clock.ms += 900;
    expect(call({ bytes: 5000 })).toBe("in");
    expect(call({ bytes: 0 })).toBe(4000);
  });

  test("counts calls under way, and only those that it let in", () => {
    const { begin, call } = setUp({ orders: { maxConcurrentCalls: 2 } });
    const first = begin();
    begin();
    expect([call(), call()]).toEqual([0, 0]);
    first.end();
    first.end();
    expect([call(), call()]).toEqual(["in", "in"]);
    begin();
    expect(call()).toBe(0);
  });

  test("has other limits from one call to the next", () => {
    const { begin, call, setLimits } = setUp({});
    const early = begin();
    setLimits({ maxRps: 1, maxConcurrentCalls: 1 });
    expect([call(), call()]).toEqual(["in", 1000]);
    early.end();
    setLimits({ maxConcurrentCalls: 1 });
    const { end } = begin();
    expect(call()).toBe(0);
    setLimits({});
    expect(call()).toBe("in");
    setLimits({ maxConcurrentCalls: 1 });
    expect(call()).toBe(0);
    end();
    expect(call()).toBe("in");
  });
});

describe("a caller", () => {
  test("has the limits of the first pattern that fits, else the default, each for itself", () => {
    const { call } = setUp({
      callers: {
        default: { maxRps: 1 },
        principals: [
          { principal: "team.a", maxRps: 2 },
          { principal: "team.*", maxRps: 3 },
          { principal: "free*" },
        ],
      },
    });
    const times = (who: string, n: number) => Array.from({ length: n }, () => call({ who }));
    expect(times("team.a", 3)).toEqual(["in", "in", 500]);
    expect(times("team.b", 4)).toEqual(["in", "in", "in", 334]);
    expect(times("team.c", 1)).toEqual(["in"]);
    expect(times("other", 2)).toEqual(["in", 1000]);
    expect(times("freelancer", 5)).toEqual(["in", "in", "in", "in", "in"]);
  });

  test("without a name is one with all others, or its address", () => {
    const together = setUp({ callers: { default: { maxRps: 1 } } });
    expect([together.call({ peer: "10.0.0.1" }), together.call({ peer: "10.0.0.2" })]).toEqual(["in", 1000]);
    const apart = setUp({ callers: { default: { maxRps: 1 }, byAddress: true } });
    const { call } = apart;
    expect([call({ peer: "10.0.0.1" }), call({ peer: "10.0.0.2" })]).toEqual(["in", "in"]);
    expect([call({ peer: "10.0.0.1" }), call({ who: "10.0.0.1" })]).toEqual([1000, "in"]);
  });

  test("that is refused takes nothing from the namespace, nor the other way round", () => {
    const { call, clock } = setUp({ orders: { maxRps: 2 }, callers: { default: { maxRps: 1 } } });
    expect([call({ who: "a" }), call({ who: "a" }), call({ who: "b" })]).toEqual(["in", 1000, "in"]);
    expect([call({ who: "c" }), call({ who: "c", namespace: "users" })]).toEqual([500, "in"]);
    clock.ms += 500;
    // Both limits hold: the longer wait is told.
    expect(call({ who: "c" })).toBe(500);
  });
});

describe("a service's rate_limit_rps", () => {
  const row = { ...GET, rateLimitRps: 2 };

  test("holds for each caller of all its methods together", () => {
    const { call, policy } = setUp({ row });
    expect([call({ who: "a" }), call({ who: "a" }), call({ who: "a" })]).toEqual(["in", "in", 500]);
    expect(call({ who: "b" })).toBe("in");
    const set = { ...readMethod(KeyValueBasicInterface.method.set, 0), rateLimitRps: 2 };
    const record = new CallRecord(set, "id", { header: () => undefined, socket: {} });
    record.principal = { name: "a", grants: [] };
    expect(() => policy.on(set)?.begin?.(record, createCall())).toThrow("this caller makes more calls");
  });
});

test("a method without a namespace and without a rate is left alone", () => {
  const { policy } = setUp({ orders: { maxRps: 1 }, callers: { default: { maxRps: 1 } } });
  expect(policy.on(readMethod(Health.method.check, 0))).toBeUndefined();
});

describe("a bucket that has to ask first", () => {
  /** A bucket that knows nothing before `answer`, and then has room for so many. */
  function asking() {
    const asked = Promise.withResolvers<void>();
    let room: number | undefined;
    const makeBucket: BucketMaker = () => ({
      waitMs: (amount) => (room === undefined ? UNKNOWN : room >= amount ? 0 : 70),
      take: (amount) => {
        room = (room ?? 0) - amount;
      },
      isFull: () => false,
      known: () => asked.promise,
    });
    const answer = (calls: number) => {
      room = calls;
      asked.resolve();
    };
    return { makeBucket, answer };
  }

  test("holds its calls up, and each hears what became of it", async () => {
    const { makeBucket, answer } = asking();
    const { begin } = setUp({ orders: { maxRps: 1 }, makeBucket });
    const [first, second] = [begin(), begin()];
    answer(1);
    await first.waits;
    await expect(second.waits).rejects.toMatchObject({ reason: "rate_limited", retryAfterMs: 70 });
  });

  test("takes nothing for a call that ended meanwhile", async () => {
    const { makeBucket, answer } = asking();
    const { begin } = setUp({ orders: { maxRps: 1, maxConcurrentCalls: 1 }, makeBucket });
    const gone = begin();
    gone.end();
    const next = begin();
    answer(1);
    await Promise.all([gone.waits, next.waits]);
    next.end();
  });

  test("refuses a call that it cannot tell after three tries", async () => {
    const makeBucket: BucketMaker = () => ({
      waitMs: () => UNKNOWN,
      take() {},
      isFull: () => false,
      known: async () => {},
    });
    const { begin } = setUp({ orders: { maxRps: 1 }, makeBucket });
    await expect(begin().waits).rejects.toMatchObject({ reason: "rate_limited" });
  });
});
