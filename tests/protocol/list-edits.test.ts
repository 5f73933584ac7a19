/** Ranges, places and moves of lists: what they answer, and what they refuse, in every protocol. */
import type { DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import { InsertSide, ListIndexingInterface } from "../../gen/prism/interfaces/list/list_indexing_pb.ts";
import { ListEnd, ListMoveInterface } from "../../gen/prism/interfaces/list/list_move_pb.ts";
import { ListRangeInterface } from "../../gen/prism/interfaces/list/list_range_pb.ts";
import { expectFailure, expectService, type Failure } from "./expect.ts";
import { MAX_VALUE_BYTES, useServer } from "./fixture.ts";
import { callRequest, POST_WIRES, type RawRequest, readMessage, type Wire } from "./wire.ts";

const { getRange, trim } = ListRangeInterface.method;
const { get, set, insert, remove } = ListIndexingInterface.method;
const { move } = ListMoveInterface.method;

const fixture = useServer();

/** In keys and values; it must not be in the log. */
const SECRET = "s3cret";
const value = Buffer.from(SECRET);
const largeValue = Buffer.alloc(MAX_VALUE_BYTES + 1, SECRET);
const longKey = SECRET.padEnd(1025, "k");

const invalid = (field: string): Failure => ({ code: "invalid_argument", reason: "INVALID_FIELD", field });
const tooLarge: Failure = { code: "resource_exhausted", reason: "VALUE_TOO_LARGE", field: "value" };
const noNamespace: Failure = { code: "not_found", reason: "NAMESPACE_NOT_FOUND", namespace: "no-such" };

interface Case {
  readonly name: string;
  readonly request: (wire: Wire) => RawRequest;
  readonly failure: Failure;
}

function refused<M extends DescMethod>(
  name: string,
  method: M,
  init: MessageInitShape<M["input"]>,
  failure: Failure,
): Case {
  const request = (wire: Wire) => callRequest(wire, method, init);
  return { name: `${method.name}: ${name}`, request, failure };
}

const side = InsertSide.BEFORE;
const ends = { sourceEnd: ListEnd.LEFT, destinationEnd: ListEnd.RIGHT };
const keys = { sourceKey: SECRET, destinationKey: SECRET };

const CASES: readonly Case[] = [
  ...[getRange, trim, get, set, insert, remove].flatMap((method) => [
    refused("empty key", method, { listKey: "", side }, invalid("list_key")),
    refused("over-long key", method, { listKey: longKey, side }, invalid("list_key")),
    refused("unknown namespace", method, { listKey: SECRET, side, namespace: "no-such" }, noNamespace),
    refused("malformed namespace", method, { listKey: SECRET, side, namespace: "Ä" }, invalid("namespace")),
  ]),
  refused("over-large value", set, { listKey: SECRET, value: largeValue }, tooLarge),
  refused("over-large value", insert, { listKey: SECRET, side, value: largeValue }, tooLarge),
  refused("no list", set, { listKey: SECRET, value }, { code: "not_found", reason: "KEY_NOT_FOUND" }),
  refused("no side", insert, { listKey: SECRET, value }, invalid("side")),
  refused("unknown side", insert, { listKey: SECRET, value, side: 7 as InsertSide }, invalid("side")),
  refused("empty source", move, { ...keys, ...ends, sourceKey: "" }, invalid("source_key")),
  refused(
    "over-long destination",
    move,
    { ...keys, ...ends, destinationKey: longKey },
    invalid("destination_key"),
  ),
  refused("no source end", move, { ...keys, destinationEnd: ListEnd.LEFT }, invalid("source_end")),
  refused("no destination end", move, { ...keys, sourceEnd: ListEnd.LEFT }, invalid("destination_end")),
  refused("unknown end", move, { ...keys, ...ends, sourceEnd: 3 as ListEnd }, invalid("source_end")),
  refused("unknown namespace", move, { ...keys, ...ends, namespace: "no-such" }, noNamespace),
];

describe.each(POST_WIRES)("$name", (wire) => {
  test.each(CASES)("$name", async ({ request, failure }) => {
    const failed = await expectFailure(fixture.server, fixture.on(wire), request(wire), failure, [SECRET]);
    expect(failed.message).not.toContain(SECRET);
    expect(await expectService(fixture.on(wire), wire)).toBe(failed.localPort);
  });
});

describe.each([
  ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
  [
    "Connect JSON",
    (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  ],
] as const)("over %s", (name, transportTo) => {
  let lists = 0;
  /** A new list, and the clients of all services of lists. */
  async function opened(...values: readonly string[]) {
    const transport = transportTo(fixture.server.baseUrl);
    const basic = createClient(ListBasicInterface, transport);
    const listKey = `${name} ${++lists}`;
    for (const each of values) {
      await basic.pushRight({ listKey, value: Buffer.from(each) });
    }
    const ranges = createClient(ListRangeInterface, transport);
    const read = async (start = 0n, stop?: bigint) =>
      await Array.fromAsync(
        ranges.getRange({ listKey, start, ...(stop !== undefined && { stop }) }),
        (item) => Buffer.from(item.value).toString(),
      );
    const indexes = createClient(ListIndexingInterface, transport);
    return { listKey, basic, ranges, read, indexes, moves: createClient(ListMoveInterface, transport) };
  }

  test("GetRange and Trim: an absent stop is the end, and 0 the first place", async () => {
    const { listKey, ranges, read } = await opened("a", "b", "", "d");
    expect(await read()).toEqual(["a", "b", "", "d"]);
    expect(await read(0n, 0n)).toEqual(["a"]);
    expect(await read(-3n, -2n)).toEqual(["b", ""]);
    expect(await read(3n, 1n)).toEqual([]);
    expect(await read(-(2n ** 63n), 2n ** 63n - 1n)).toEqual(["a", "b", "", "d"]);
    expect(await ranges.trim({ listKey, start: 1n })).toMatchObject({ newLength: 3n });
    expect(await read()).toEqual(["b", "", "d"]);
    expect(await ranges.trim({ listKey, stop: 0n })).toMatchObject({ newLength: 1n });
    expect(await read()).toEqual(["b"]);
    expect(await ranges.trim({ listKey, start: 5n, stop: 9n })).toMatchObject({ newLength: 0n });
    expect(await read()).toEqual([]);
    expect(await ranges.trim({ listKey })).toMatchObject({ newLength: 0n });
  });

  test("GetRange of more than a page", async () => {
    const values = Array.from({ length: 20 }, (_, i) => String(i).repeat(MAX_VALUE_BYTES / 2));
    const { read } = await opened(...values);
    expect(await read()).toEqual(values);
    expect(await read(-12n, -2n)).toEqual(values.slice(8, 19));
  });

  test("Get and Set", async () => {
    const { listKey, indexes, read } = await opened("a", "", "c");
    const at = async (index: bigint) => {
      const { found, value: there } = await indexes.get({ listKey, index });
      return found ? Buffer.from(there).toString() : undefined;
    };
    expect([await at(0n), await at(1n), await at(-1n), await at(3n), await at(-4n)]).toEqual([
      ...["a", "", "c"],
      ...[undefined, undefined],
    ]);
    await indexes.set({ listKey, index: -1n, value: Buffer.from("C") });
    await indexes.set({ listKey, value: Buffer.from("A") });
    expect(await read()).toEqual(["A", "", "C"]);
    expect(await indexes.get({ listKey: "absent" })).toMatchObject({ found: false });
  });

  test("Insert and Remove", async () => {
    const { listKey, indexes, read } = await opened("a", "b", "a");
    const put = (where: InsertSide, pivot: string, text: string) =>
      indexes.insert({ listKey, side: where, pivot: Buffer.from(pivot), value: Buffer.from(text) });
    expect(await put(InsertSide.BEFORE, "b", "1")).toMatchObject({ inserted: true, length: 4n });
    expect(await put(InsertSide.AFTER, "a", "")).toMatchObject({ inserted: true, length: 5n });
    expect(await put(InsertSide.AFTER, "x", "2")).toMatchObject({ inserted: false, length: 5n });
    expect(await read()).toEqual(["a", "", "1", "b", "a"]);
    expect(await indexes.remove({ listKey, value: Buffer.from("a"), count: -1n })).toMatchObject({
      removed: 1n,
    });
    expect(await indexes.remove({ listKey })).toMatchObject({ removed: 1n });
    expect(await read()).toEqual(["a", "1", "b"]);
    const absent = { listKey: "absent", side, value };
    expect(await indexes.insert(absent)).toMatchObject({ inserted: false, length: 0n });
  });

  test("Move", async () => {
    const { listKey, moves, read } = await opened("a", "b");
    const same = { sourceKey: listKey, destinationKey: listKey, ...ends };
    expect(await moves.move(same)).toMatchObject({ found: true, value: new Uint8Array([97]) });
    expect(await read()).toEqual(["b", "a"]);
    const none = { ...same, sourceKey: "absent" };
    expect(await moves.move(none)).toMatchObject({ found: false });
    expect(await read()).toEqual(["b", "a"]);
  });
});

test.each(POST_WIRES)("$name: a Set beyond the list is refused, and the list is as it was", async (wire) => {
  const { pushLeft, popLeft } = ListBasicInterface.method;
  const connection = fixture.on(wire);
  const listKey = `beyond ${wire.name}`;
  await connection.call(callRequest(wire, pushLeft, { listKey, value }));
  for (const index of [1n, -2n, 2n ** 63n - 1n]) {
    await expectFailure(
      fixture.server,
      connection,
      callRequest(wire, set, { listKey, index, value: Buffer.from("x") }),
      { code: "out_of_range", reason: "INDEX_OUT_OF_RANGE", field: "index", namespace: "default" },
      [SECRET],
    );
  }
  const popped = await connection.call(callRequest(wire, popLeft, { listKey }));
  expect(Buffer.from(readMessage(popLeft, wire, popped).value)).toEqual(value);
});
