import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { KeyValueRangeInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { anyInit, anyText, everyKind } from "../../tests/helpers/any-message.ts";
import { ArrayValues } from "../backend/values.ts";
import { Columns } from "../calls/columns.ts";
import { SERVICES } from "../services/services.ts";
import { columnsEncoder, encoderOf } from "./encoder.ts";
import { MessageWriter } from "./message-writer.ts";

/** Field 536870911 (the highest) as a varint. */
const UNKNOWN = Buffer.from([0xf8, 0xff, 0xff, 0xff, 0x0f, 0x2a]);

const writer = new MessageWriter();

function encode(desc: DescMessage, message: object): Buffer {
  encoderOf(desc)(message, writer);
  return writer.take();
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("the same bytes as protobuf-es", () => {
  const ours = SERVICES.flatMap((service) => service.methods).flatMap(({ input, output }) => [input, output]);
  const types = [everyKind(), ...new Set(ours)];

  test.each(types.map((desc) => [desc.typeName, desc] as const))("%s", (_name, desc) => {
    fc.assert(
      fc.property(anyInit(desc, 2), (init) => {
        const message: Message = create(desc, init);
        const expected = hex(toBinary(desc, message));
        expect(hex(encode(desc, message))).toBe(expected);
        // A handler's response is encoded without making a message of it.
        expect(hex(encode(desc, init))).toBe(expected);
      }),
      { numRuns: desc.typeName === "t.Every" ? 2000 : 50 },
    );
  });

  test("fields that are not known", () => {
    const every = everyKind();
    // A type without fields: unknown fields are kept and passed on.
    const { input: empty } = Health.method.list;
    fc.assert(
      fc.property(anyInit(every, 1), (init) => {
        const bytes = toBinary(every, create(every, init));
        expect(hex(encode(empty, fromBinary(empty, bytes)))).toBe(hex(bytes));
        const mixed = fromBinary(every, Buffer.concat([bytes, UNKNOWN]));
        expect(hex(encode(every, mixed))).toBe(hex(toBinary(every, mixed)));
      }),
      { numRuns: 100 },
    );
  });
});

describe("columns", () => {
  const { output } = KeyValueScanInterface.method.scan;
  const anyRows = fc.array(fc.record({ key: anyText, value: fc.uint8Array({ maxLength: 300 }) }), {
    maxLength: 20,
  });

  test("the same bytes as of message after message, and the same messages", () => {
    fc.assert(
      fc.property(anyRows, fc.boolean(), (rows, hasLast) => {
        const { output } = KeyValueRangeInterface.method.readRange;
        const last = hasLast ? { pageToken: Buffer.from("token") } : undefined;
        const columns = new Columns<MessageInitShape<typeof output>>(
          rows.length,
          {
            key: rows.map(({ key }) => key),
            value: new ArrayValues(rows.map(({ value }) => value)),
          },
          last,
        );
        const wanted = rows.map((row, i) => (i === rows.length - 1 ? { ...row, ...last } : row));
        expect([...columns]).toEqual(wanted);
        const encodeRow = columnsEncoder(output, columns);
        for (const [i, row] of wanted.entries()) {
          encodeRow(i, writer);
          expect(hex(writer.take())).toBe(hex(encode(output, row)));
        }
      }),
    );
  });

  test("an unknown field, or one that is no scalar", () => {
    expect(() => columnsEncoder(output, new Columns<object>(0, { no: [] } as object))).toThrow("no");
    const { output: list } = Health.method.list;
    expect(() => columnsEncoder(list, new Columns<object>(0, { statuses: [] } as object))).toThrow(
      "statuses",
    );
  });
});

test("a message of every size, one after the other", () => {
  const [service] = SERVICES;
  const desc = service.method.get.output;
  for (const bytes of [0, 1, 120, 127, 128, 16_383, 16_384, 70_000, 3_000_000, 5]) {
    const message = create(desc, { value: Buffer.alloc(bytes, 7) });
    expect(encode(desc, message).equals(toBinary(desc, message)), `${bytes}`).toBe(true);
  }
});
