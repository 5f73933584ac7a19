import { describe, expect, test, vi } from "vitest";
import { KeyValueBasicInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { createCall } from "../../backend/contract.ts";
import { PrismError } from "../../errors.ts";
import { readMethod } from "../methods.ts";
import { CallRecord } from "../record.ts";
import { type Policy, PolicyChain, type PolicyHooks } from "./policy.ts";

const GET = readMethod(KeyValueBasicInterface.method.get, 0);
const REFUSAL = new PrismError("overloaded", "not now");
const call = createCall();

/** A chain of policies that record what they hear. */
function setUp(hooks: readonly (PolicyHooks | undefined)[]) {
  const told: string[] = [];
  const policies = hooks.map(
    (each, i): Policy => ({
      on: () =>
        each && {
          begin(record, of) {
            told.push(`begin ${i}`);
            return each.begin?.(record, of);
          },
          finish(record, error, begun) {
            told.push(`finish ${i} ${error?.reason ?? "ok"}${begun ? "" : " not begun"}`);
            each.finish?.(record, error, begun);
          },
        },
    }),
  );
  const onDefect = vi.fn();
  return {
    told,
    onDefect,
    chain: new PolicyChain(GET, policies, onDefect),
    record: new CallRecord(GET, "id", { header: () => undefined, socket: {} }),
  };
}

test("policies begin in order and finish in reverse, each once; a policy that is not concerned hears nothing", () => {
  const { chain, record, told } = setUp([{}, undefined, {}]);
  expect(chain.begin(record, call)).toBeUndefined();
  chain.finish(record, undefined);
  chain.finish(record, REFUSAL);
  expect(told).toEqual(["begin 0", "begin 2", "finish 2 ok", "finish 0 ok"]);
});

test("a policy is asked once for a method, and told its row", () => {
  const on = vi.fn();
  const chain = new PolicyChain(GET, [{ on }], (cause) => expect.unreachable(String(cause)));
  for (let i = 0; i < 3; i++) {
    const record = new CallRecord(GET, "id", { header: () => undefined, socket: {} });
    chain.begin(record, call);
    chain.finish(record, undefined);
  }
  expect(on.mock.calls).toEqual([[GET]]);
});

test("policies that have only an end: they have begun once the call gets so far", () => {
  const begun: boolean[] = [];
  const onlyEnd: Policy = { on: () => ({ finish: (_record, _error, isBegun) => void begun.push(isBegun) }) };
  const chain = new PolicyChain(GET, [onlyEnd], (cause) => expect.unreachable(String(cause)));
  for (const isRead of [true, false]) {
    const record = new CallRecord(GET, "id", { header: () => undefined, socket: {} });
    if (isRead) {
      chain.begin(record, call);
    }
    chain.finish(record, undefined);
  }
  expect(begun).toEqual([true, false]);
});

test("a refusal: those behind it do not begin, and are told how the call ended", () => {
  const { chain, record, told } = setUp([
    {},
    {
      begin() {
        throw REFUSAL;
      },
    },
    {},
  ]);
  expect(() => chain.begin(record, call)).toThrow(REFUSAL);
  chain.finish(record, REFUSAL);
  expect(told).toEqual([
    "begin 0",
    "begin 1",
    "finish 2 overloaded not begun",
    "finish 1 overloaded not begun",
    "finish 0 overloaded",
  ]);
});

describe("a policy that waits", () => {
  test("holds up those behind it", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { chain, record, told } = setUp([{ begin: () => promise }, {}]);
    const begun = chain.begin(record, call);
    expect(told).toEqual(["begin 0"]);
    resolve();
    await begun;
    chain.finish(record, undefined);
    expect(told).toEqual(["begin 0", "begin 1", "finish 1 ok", "finish 0 ok"]);
  });

  test("refuses", async () => {
    const { chain, record, told } = setUp([{ begin: () => Promise.reject(REFUSAL) }, {}]);
    await expect(chain.begin(record, call)).rejects.toBe(REFUSAL);
    expect(told).toEqual(["begin 0"]);
  });

  test("is not waited for by the end of the call, and lets nobody begin after it", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { chain, record, told } = setUp([{ begin: () => promise }, {}]);
    const begun = chain.begin(record, call);
    chain.finish(record, REFUSAL);
    resolve();
    await begun;
    expect(told).toEqual(["begin 0", "finish 1 overloaded not begun", "finish 0 overloaded not begun"]);
  });
});

test("an error of a finish is reported, and the others finish", () => {
  const defect = new TypeError("oops");
  const { chain, record, told, onDefect } = setUp([
    {},
    {
      finish() {
        throw defect;
      },
    },
  ]);
  chain.begin(record, call);
  chain.finish(record, undefined);
  expect(onDefect.mock.calls).toEqual([[defect]]);
  expect(told.slice(2)).toEqual(["finish 1 ok", "finish 0 ok"]);
});
