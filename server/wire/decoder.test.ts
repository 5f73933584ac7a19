import { create, type DescMessage, fromBinary, isMessage, type Message, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AppendBatchRequestSchema } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { anyInit, everyKind } from "../../tests/helpers/any-message.ts";
import { SERVICES } from "../services/services.ts";
import { decoderOf } from "./decoder.ts";

const REFERENCE = { readUnknownFields: false } as const;

/** What a reader answers, or the message of what it throws. */
function outcomeOf(read: () => Message): unknown {
  try {
    return { message: read() };
  } catch (error) {
    return { error: String(error) };
  }
}

/** Both read the same bytes. They lie in a larger buffer, as in a request. */
function expectSame(desc: DescMessage, bytes: Uint8Array): void {
  const around = Buffer.concat([Buffer.of(1, 2, 3), bytes, Buffer.of(4, 5, 6)]);
  const message = new Uint8Array(around.buffer, around.byteOffset + 3, bytes.length);
  expect(outcomeOf(() => decoderOf(desc)(message))).toEqual(
    outcomeOf(() => fromBinary(desc, message, REFERENCE)),
  );
}

describe("the same as protobuf-es", () => {
  const ours = SERVICES.flatMap((service) => service.methods).map(({ input }) => input);
  const types = [everyKind(), ...new Set(ours)];

  test.each(types.map((desc) => [desc.typeName, desc] as const))("%s", (_name, desc) => {
    fc.assert(
      fc.property(anyInit(desc, 2), fc.array(fc.nat()), fc.nat(), (init, flips, cut) => {
        const bytes = toBinary(desc, create(desc, init));
        expectSame(desc, bytes);
        // Cut short, twice, and with bytes changed.
        expectSame(desc, bytes.subarray(0, cut % (bytes.length + 1)));
        expectSame(desc, Buffer.concat([bytes, bytes]));
        const changed = Uint8Array.from(bytes);
        for (const flip of flips) {
          changed[(flip >> 8) % bytes.length] = flip & 0xff;
          expectSame(desc, changed);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => expectSame(AppendBatchRequestSchema, bytes)),
      { numRuns: 3000 },
    );
  });

  test.each([
    ["a name like a property", { ["__proto__"]: "x" }],
    ["names of every object", { constructor: "x", toString: "y" }],
    ["a byte order mark", { "\ufeffa": "\ufeff" }],
    ["text that is not ASCII", { ä: "\u{10ffff}" }],
    ["long text", { a: "x".repeat(100), b: "ä".repeat(100) }],
    ["an empty name and an empty value", { "": "" }],
  ])("tags with %s", (_name, tags) => {
    const own = Object.fromEntries(Object.entries(tags));
    const message = create(AppendBatchRequestSchema, { events: [{ tags: own }, { tags: own }] });
    expectSame(AppendBatchRequestSchema, toBinary(AppendBatchRequestSchema, message));
  });

  test.each([0n, 1n, 127n, 128n, 2n ** 49n - 1n, 2n ** 49n, 2n ** 63n - 1n, -1n, -(2n ** 63n)])(
    "the time %s",
    (timestampMillis) => {
      const message = create(AppendBatchRequestSchema, {
        events: [{ timestampMillis, offset: timestampMillis }],
      });
      expectSame(AppendBatchRequestSchema, toBinary(AppendBatchRequestSchema, message));
    },
  );

  test("messages share no lists and no maps", () => {
    const read = decoderOf(AppendBatchRequestSchema);
    const bytes = toBinary(AppendBatchRequestSchema, create(AppendBatchRequestSchema, { events: [{}, {}] }));
    const [first, second] = [read(bytes), read(bytes)].map((message) => {
      return isMessage(message, AppendBatchRequestSchema) ? message.events : expect.fail();
    });
    expect(first).not.toBe(second);
    expect(first?.[0]?.tags).not.toBe(first?.[1]?.tags);
  });
});
