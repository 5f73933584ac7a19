/** Something that no store should answer: a response that cannot be encoded. */
import { ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { ErrorSchema, Reason } from "../../gen/prism/common/errors_pb.ts";
import { KeyValueBatchInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import type { PrismError } from "../errors.ts";
import { type Handlers, implement } from "./implement.ts";
import { LargeAnswers } from "./large-answers.ts";
import { readMethod } from "./methods.ts";
import { CallRecord } from "./record.ts";
import { CallScope } from "./scope.ts";

const CAUSE = new RangeError("a value that is none");
const broken = () => {
  throw CAUSE;
};

function setUp() {
  const logged: (PrismError | undefined)[] = [];
  const { methods } = implement(
    KeyValueScanInterface,
    {
      async *scan() {
        yield [{ key: "a" }];
      },
      async *scanKeys() {},
      count: async () => ({ count: 1n }),
    },
    {
      policies: [{ on: () => ({ finish: (_record, error) => void logged.push(error) }) }],
      maxTimeoutMs: 0,
      onDefect: (cause) => expect.unreachable(String(cause)),
      large: new LargeAnswers({ hasRoom: () => true }),
    },
  );
  const unary = methods.find((each) => each.kind === "unary");
  const stream = methods.find((each) => each.kind === "stream");
  return {
    logged,
    unary,
    stream,
    record: new CallRecord(readMethod(KeyValueScanInterface.method.count, 0), "id-1", {
      header: () => undefined,
      socket: {},
    }),
    scope: new CallScope(0),
  };
}

function expectInternal(thrown: unknown, logged: readonly (PrismError | undefined)[]): void {
  expect(thrown).toBeInstanceOf(ConnectError);
  const [detail] = thrown instanceof ConnectError ? thrown.findDetails(ErrorSchema) : [];
  expect(detail).toMatchObject({ reason: Reason.INTERNAL, requestId: "id-1" });
  expect(String(thrown)).not.toContain(CAUSE.message);
  expect(logged).toEqual([expect.objectContaining({ reason: "internal", cause: CAUSE })]);
}

describe("a response that cannot be encoded is an internal error, and its cause is in the log", () => {
  test("one", async () => {
    const { logged, unary, record, scope } = setUp();
    const thrown = await unary?.run({}, record, scope, broken).catch((error: unknown) => error);
    expectInternal(thrown, logged);
    expect(scope.aborted).toBe(true);
  });

  test("a stream of them", async () => {
    const { logged, stream, record, scope } = setUp();
    const batches = stream?.open({}, record, scope, broken);
    const thrown = await batches?.next().catch((error: unknown) => error);
    expectInternal(thrown, logged);
    batches?.close();
    expect(logged).toHaveLength(1);
  });
});

test("an answer is as large as the values in its messages", async () => {
  const asked: number[] = [];
  const value = new Uint8Array(10 * 1024);
  const handlers: Handlers<typeof KeyValueBatchInterface> = {
    batchGet: async () => ({ results: [{ found: true, value }, { found: false }, { found: true, value }] }),
    batchSet: async () => ({ results: [{}], atomic: true }),
    batchDelete: async () => ({}),
  };
  const { methods } = implement(KeyValueBatchInterface, handlers, {
    policies: [],
    maxTimeoutMs: 0,
    onDefect: (cause) => expect.unreachable(String(cause)),
    large: new LargeAnswers({ hasRoom: (bytes) => asked.push(bytes) === 0 }),
  });
  const answers = methods.map(async (method) => {
    const record = new CallRecord(method.row, "id-1", { header: () => undefined, socket: {} });
    return method.kind === "unary"
      ? await method.run({}, record, new CallScope(0), () => Buffer.from("ok"))
      : undefined;
  });
  const [got, set] = await Promise.allSettled(answers);
  expect(got?.status === "rejected" && got.reason.findDetails(ErrorSchema)).toMatchObject([
    { reason: Reason.OVERLOADED },
  ]);
  expect(set?.status).toBe("fulfilled");
  expect(asked).toEqual([2 * value.length]);
});

test("a value is not taken and then refused because there is no memory for the answer", async () => {
  const pop = async (room: number) => {
    let taken = 0;
    const take = async () => {
      taken++;
      return { found: true, value: new Uint8Array(1024 * 1024) };
    };
    const none = async () => ({});
    const handlers = { popLeft: take, popRight: take, pushLeft: none, pushRight: none, length: none };
    const { methods } = implement(ListBasicInterface, handlers, {
      policies: [],
      maxTimeoutMs: 0,
      onDefect: (cause) => expect.unreachable(String(cause)),
      large: new LargeAnswers({ hasRoom: (bytes) => bytes <= room }),
    });
    const method = methods.find(({ row }) => row.desc.name === "PopLeft");
    if (method?.kind !== "unary") {
      throw new Error("no PopLeft");
    }
    const record = new CallRecord(method.row, "id-1", { header: () => undefined, socket: {} });
    const answer = method.run({}, record, new CallScope(0), () => Buffer.from("ok"));
    return { answered: (await Promise.allSettled([answer]))[0]?.status, taken };
  };

  expect(await pop(0)).toEqual({ answered: "rejected", taken: 0 });
  expect(await pop(100_000)).toEqual({ answered: "fulfilled", taken: 1 });
});
