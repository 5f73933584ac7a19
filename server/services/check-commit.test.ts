import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { BatchSetRequestSchema } from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { ExpectationSchema } from "../../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import { CommitRequestSchema } from "../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { MAX_CALL_ITEMS, MAX_COMMIT_CHECKS } from "../limits.ts";
import { checkCommit, checkExpectation, checkHeldExpectation, checkItems } from "./check-commit.ts";

const MAX_VALUE_BYTES = 8;
const VALUE = Buffer.from("v");
const LARGE = Buffer.alloc(MAX_VALUE_BYTES + 1);
const invalid = (field: string) => expect.objectContaining({ reason: "invalid_field", field });
const tooLarge = (field: string) => expect.objectContaining({ reason: "value_too_large", field });

type Init = MessageInitShape<typeof CommitRequestSchema>;
type Mutations = NonNullable<Init["mutations"]>;
type Checks = NonNullable<Init["checks"]>;

const commitOf = (init: Init) => checkCommit(create(CommitRequestSchema, init), MAX_VALUE_BYTES);
const itemsOf = (init: MessageInitShape<typeof BatchSetRequestSchema>) =>
  checkItems(create(BatchSetRequestSchema, init).items, MAX_VALUE_BYTES);

const remove: Mutations[number] = { key: "k", kind: { case: "delete", value: {} } };
const absent: Checks[number] = { key: "k", kind: { case: "absent", value: {} } };

describe("a batch", () => {
  test("is what the contract takes", () => {
    const items = [
      { key: "a", value: VALUE },
      { key: "b", ttlSeconds: 2n },
    ];
    expect(itemsOf({ items })).toEqual([
      { key: "a", value: VALUE, ttlMs: 0 },
      { key: "b", value: new Uint8Array(), ttlMs: 2000 },
    ]);
  });

  test.each([
    ["no item", [], invalid("items")],
    ["too many items", new Array(MAX_CALL_ITEMS + 1).fill({ key: "k" }), invalid("items")],
    ["an empty key", [{ key: "a" }, { key: "" }], invalid("items[1].key")],
    ["a large value", [{ key: "a" }, { key: "b", value: LARGE }], tooLarge("items[1].value")],
    ["a negative ttl", [{ key: "a", ttlSeconds: -1n }], invalid("items[0].ttl_seconds")],
  ])("%s is refused", (_what, items, refusal) => {
    expect(() => itemsOf({ items })).toThrow(refusal);
  });
});

describe("an expectation", () => {
  const of = (kind: MessageInitShape<typeof ExpectationSchema>["kind"]) =>
    create(ExpectationSchema, kind === undefined ? {} : { kind });

  test("is what the contract takes", () => {
    expect(checkExpectation("k", of({ case: "absent", value: {} }))).toEqual({ key: "k", is: "absent" });
    const empty = of({ case: "value", value: new Uint8Array() });
    expect(checkExpectation("k", empty)).toEqual({ key: "k", is: "value", value: new Uint8Array() });
    const version = of({ case: "version", value: 7n });
    expect(checkExpectation("k", version)).toEqual({ key: "k", is: "version", version: 7 });
    expect(checkHeldExpectation("k", version)).toEqual({ key: "k", is: "version", version: 7 });
  });

  test("is never blank", () => {
    expect(() => checkExpectation("k", undefined)).toThrow(invalid("expected"));
    expect(() => checkExpectation("k", of(undefined))).toThrow(invalid("expected"));
    expect(() => checkHeldExpectation("k", undefined)).toThrow(invalid("expected"));
    expect(() => checkHeldExpectation("k", of({ case: "absent", value: {} }))).toThrow(invalid("expected"));
    const zero = of({ case: "version", value: 0n });
    expect(() => checkExpectation("k", zero)).toThrow(invalid("expected.version"));
  });
});

describe("a commit", () => {
  test("is what the contract takes", () => {
    const checks: Checks = [
      absent,
      { key: "a", kind: { case: "present", value: {} } },
      { key: "b", kind: { case: "value", value: VALUE } },
      { key: "c", kind: { case: "version", value: 3n } },
    ];
    const mutations: Mutations = [
      { key: "a", kind: { case: "set", value: { value: VALUE, ttlSeconds: 1n } } },
      { key: "b", kind: { case: "replace", value: { value: VALUE } } },
      remove,
      { key: "c", kind: { case: "add", value: { delta: -1n } } },
      { key: "d", kind: { case: "add", value: { delta: 1n, initial: 5n, ttlSeconds: 1n } } },
      { key: "e", kind: { case: "expire", value: { ttlSeconds: 9n } } },
      { key: "e", kind: { case: "persist", value: {} } },
    ];
    expect(commitOf({ checks, mutations })).toEqual({
      checks: [
        { key: "k", is: "absent" },
        { key: "a", is: "present" },
        { key: "b", is: "value", value: VALUE },
        { key: "c", is: "version", version: 3 },
      ],
      mutations: [
        { key: "a", do: "set", value: VALUE, ttlMs: 1000 },
        { key: "b", do: "replace", value: VALUE },
        { key: "k", do: "delete" },
        { key: "c", do: "add", delta: -1n, initial: 0n, ttlMs: 0 },
        { key: "d", do: "add", delta: 1n, initial: 5n, ttlMs: 1000 },
        { key: "e", do: "expire", ttlMs: 9000 },
        { key: "e", do: "persist" },
      ],
      tells: false,
    });
    expect(commitOf({ checks: [absent], returnActual: true })).toMatchObject({ tells: true });
  });

  test("may be as large as the bounds, and no larger", () => {
    const checks: Checks = new Array(MAX_COMMIT_CHECKS).fill(absent);
    const mutations: Mutations = new Array(MAX_CALL_ITEMS).fill(remove);
    expect(commitOf({ checks, mutations }).checks).toHaveLength(MAX_COMMIT_CHECKS);
    expect(() => commitOf({ checks: [...checks, absent], mutations })).toThrow(invalid("checks"));
    expect(() => commitOf({ checks, mutations: [...mutations, remove] })).toThrow(invalid("mutations"));
    expect(() => commitOf({})).toThrow(invalid("mutations"));
  });

  test.each<[string, Init, unknown]>([
    ["return_actual without a check", { mutations: [remove], returnActual: true }, invalid("return_actual")],
    ["return_actual with two", { checks: [absent, absent], returnActual: true }, invalid("return_actual")],
    ["a check without a key", { checks: [absent, { ...absent, key: "" }] }, invalid("checks[1].key")],
    ["a check of nothing", { checks: [{ key: "k" }] }, invalid("checks[0]")],
    [
      "a version of 0",
      { checks: [{ key: "k", kind: { case: "version", value: 0n } }] },
      invalid("checks[0].version"),
    ],
    ["no key", { mutations: [remove, { ...remove, key: "" }] }, invalid("mutations[1].key")],
    ["no mutation", { mutations: [{ key: "k" }] }, invalid("mutations[0]")],
    [
      "a large value",
      { mutations: [{ key: "k", kind: { case: "set", value: { value: LARGE } } }] },
      tooLarge("mutations[0].set.value"),
    ],
    [
      "a large new value",
      { mutations: [{ key: "k", kind: { case: "replace", value: { value: LARGE } } }] },
      tooLarge("mutations[0].replace.value"),
    ],
    [
      "a negative ttl",
      { mutations: [{ key: "k", kind: { case: "set", value: { ttlSeconds: -1n } } }] },
      invalid("mutations[0].set.ttl_seconds"),
    ],
    [
      "a counter's negative ttl",
      { mutations: [{ key: "k", kind: { case: "add", value: { ttlSeconds: -1n } } }] },
      invalid("mutations[0].add.ttl_seconds"),
    ],
    [
      "a new ttl of 0",
      { mutations: [remove, { key: "k", kind: { case: "expire", value: {} } }] },
      invalid("mutations[1].expire.ttl_seconds"),
    ],
  ])("%s is refused", (_what, init, refusal) => {
    expect(() => commitOf(init)).toThrow(refusal);
  });
});
